use std::ffi::CStr;

use super::{KeyError, Position, ValueError};

/// Where in a key or value eight bytes stand that a commit has to replace by a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of the first byte.
    pub at: u32,
    /// Whether the bytes are stored complemented, as in a descending key.
    pub flipped: bool,
}

/// Collects the bytes of a key or a value.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    places: Vec<Place>,
    flip: u8,
}

impl Writer {
    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Adds one byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte ^ self.flip);
    }

    /// Adds bytes as they are, with nothing to tell their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.flip == 0 {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.extend(bytes.iter().map(|byte| byte ^ self.flip));
        }
    }

    /// Adds a number in as few bytes as it needs, seven bits each, lowest first. It does not keep order.
    pub fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// Adds bytes behind their number.
    pub fn sized(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// Adds a position; one that is not known yet will be put in by the commit.
    pub fn position(&mut self, position: Position) {
        if position.is_here() {
            let at = u32::try_from(self.bytes.len()).expect("keys and values are far below 4 GB");
            self.places.push(Place { at, flipped: self.flip != 0 });
        }
        self.bytes(&position.get().to_be_bytes());
    }

    /// Everything that `write` adds is stored complemented and so sorts the other way round.
    pub(crate) fn flipped(&mut self, write: impl FnOnce(&mut Self)) {
        self.flip = !self.flip;
        write(self);
        self.flip = !self.flip;
    }

    /// The bytes, and where positions are still to be put in.
    pub fn finish(self) -> (Vec<u8>, Vec<Place>) {
        (self.bytes, self.places)
    }
}

/// Takes the bytes of a key or a value apart.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    flip: u8,
}

/// The bytes ended before what was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

impl From<Truncated> for KeyError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl From<Truncated> for ValueError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, flip: 0 }
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Truncated> {
        let (&byte, rest) = self.rest.split_first().ok_or(Truncated)?;
        self.rest = rest;
        Ok(byte ^ self.flip)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(head.map(|byte| byte ^ self.flip))
    }

    /// The next `length` bytes of a value.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        debug_assert_eq!(
            self.flip, 0,
            "only keys are stored complemented, and they have no lengths"
        );
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// A number written by [`Writer::varint`].
    pub fn varint(&mut self) -> Result<u64, Truncated> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Truncated)
    }

    /// Bytes written by [`Writer::sized`].
    pub fn sized(&mut self) -> Result<&'a [u8], Truncated> {
        let length = usize::try_from(self.varint()?).map_err(|_| Truncated)?;
        self.bytes(length)
    }

    /// A position.
    pub fn position(&mut self) -> Result<Position, Truncated> {
        Ok(Position::new(u64::from_be_bytes(self.array()?)))
    }

    /// The version byte of a record of which versions 1 to `newest` are known.
    pub fn version(&mut self, newest: u8) -> Result<u8, ValueError> {
        match self.byte()? {
            version if (1..=newest).contains(&version) => Ok(version),
            found => Err(ValueError::Version { found, newest }),
        }
    }

    /// The bytes up to the next zero and the byte behind it; used by keys, whose strings end that way.
    pub(crate) fn until_zero(&mut self) -> Result<(&'a [u8], u8), Truncated> {
        let end = match self.flip {
            // It looks at many bytes at a time.
            0 => CStr::from_bytes_until_nul(self.rest).ok().map(CStr::count_bytes),
            zero => self.rest.iter().position(|&byte| byte == zero),
        };
        let end = end.ok_or(Truncated)?;
        let (head, tail) = (&self.rest[..end], &self.rest[end + 1..]);
        let (&mark, rest) = tail.split_first().ok_or(Truncated)?;
        self.rest = rest;
        Ok((head, mark ^ self.flip))
    }

    /// Adds `bytes`, which came from [`until_zero`](Self::until_zero), to `text` in their true form.
    pub(crate) fn unflip_into(&self, bytes: &[u8], text: &mut Vec<u8>) {
        if self.flip == 0 {
            text.extend_from_slice(bytes);
        } else {
            text.extend(bytes.iter().map(|byte| byte ^ self.flip));
        }
    }

    /// Reads what was written by [`Writer::flipped`].
    pub(crate) fn flipped<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.flip = !self.flip;
        let value = read(self);
        self.flip = !self.flip;
        value
    }

    /// What was not read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Puts the positions in: `here(0)` is `first`.
pub(crate) fn resolve(bytes: &mut [u8], places: &[Place], first: Position) {
    for place in places {
        let at = place.at as usize;
        let flip = if place.flipped { u64::MAX } else { 0 };
        let stored: &mut [u8; 8] = (&mut bytes[at..at + 8])
            .try_into()
            .expect("a slice of eight bytes is an array of eight");
        let position = Position::new(u64::from_be_bytes(*stored) ^ flip);
        *stored = (position.resolved(first).get() ^ flip).to_be_bytes();
    }
}
