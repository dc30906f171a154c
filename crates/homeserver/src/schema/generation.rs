//! What the store keeps of the generations of a room's state.

use tertulia_storage::{Field, Position, Reader, ValueError, Writer, record};

use super::unknown;

/// One base of a room's state, and what became of it. Generation 0 is that of a room which began
/// here: it has no base, since all of its state came by events, and no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// What became of it.
    pub stage: Stage,
    /// The generation that was in force when it was begun.
    pub follows: u32,
    /// Up to where its base knows the changes of the generation it follows.
    pub as_of: Position,
    /// Whether the server came into the room with it, so that nothing of before goes on.
    pub anew: bool,
    /// How many users are joined in its base.
    pub joined: u64,
    /// How many users are invited in its base.
    pub invited: u64,
}
record!(Generation = 1 { stage, follows, as_of, anew, joined, invited });

/// What becomes of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its base is being written, and nobody sees it.
    Writing,
    /// It is or was in force, from this position on. The lists of local users follow.
    Settling(Position),
    /// It is or was in force, from this position on, and all lists say so.
    Settled(Position),
    /// It will never be in force; its rows are being deleted.
    Dropping,
    /// It was never in force. Its number is not used again.
    Dropped,
}

impl Stage {
    /// From where on the generation was in force, if it was.
    pub fn began(self) -> Option<Position> {
        match self {
            Self::Settling(began) | Self::Settled(began) => Some(began),
            Self::Writing | Self::Dropping | Self::Dropped => None,
        }
    }
}

impl Field for Stage {
    fn write(&self, out: &mut Writer) {
        let tag: u8 = match self {
            Self::Writing => 0,
            Self::Settling(_) => 1,
            Self::Settled(_) => 2,
            Self::Dropping => 3,
            Self::Dropped => 4,
        };
        Field::write(&tag, out);
        if let Some(began) = self.began() {
            Field::write(&began, out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Writing,
            1 => Self::Settling(Field::read(input)?),
            2 => Self::Settled(Field::read(input)?),
            3 => Self::Dropping,
            4 => Self::Dropped,
            tag => return Err(unknown("stage of a generation", tag)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::golden::{self, hex};

    #[track_caller]
    fn check(stage: Stage, golden: &str, began: Option<u64>) {
        let as_of = Position::new(7);
        let row = Generation { stage, follows: 3, as_of, anew: true, joined: 300, invited: 1 };
        golden::check(&row, hex(golden));
        assert_eq!(stage.began().map(Position::get), began, "{stage:?}");
    }

    #[test]
    fn generations_are_stored_as_these_bytes_for_ever() {
        let began = Position::new(9);
        let rest = "03000000000000000701ac0201";
        check(Stage::Writing, &format!("0100{rest}"), None);
        check(Stage::Settling(began), &format!("01010000000000000009{rest}"), Some(9));
        check(Stage::Settled(began), &format!("01020000000000000009{rest}"), Some(9));
        check(Stage::Dropping, &format!("0103{rest}"), None);
        check(Stage::Dropped, &format!("0104{rest}"), None);
    }

    #[test]
    fn a_stage_that_a_newer_server_wrote_is_refused() {
        <Stage as Field>::read(&mut Reader::new(&[5])).unwrap_err();
        <Stage as Field>::read(&mut Reader::new(&[1])).unwrap_err();
    }
}
