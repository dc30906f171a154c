//! Which thumbnails there are, which of them answers a request, and what of a picture it shows.

/// How a picture becomes a thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resizing {
    /// It fills the size; what juts out of it is cut off.
    Crop,
    /// It lies within the size, and all of it is seen.
    Scale,
}

/// A size in which thumbnails are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThumbnailSize {
    /// The most pixels from left to right.
    pub width: u32,
    /// The most pixels from top to bottom.
    pub height: u32,
    /// How a picture becomes so small.
    pub resizing: Resizing,
}

const fn size(width: u32, height: u32, resizing: Resizing) -> ThumbnailSize {
    ThumbnailSize { width, height, resizing }
}

/// Those that the specification recommends ("Thumbnails"), and beyond them squares for clients that
/// show avatars larger than 96 pixels: whoever asks for a crop wants the shape of what was asked for.
const SIZES: [ThumbnailSize; 7] = [
    size(32, 32, Resizing::Crop),
    size(96, 96, Resizing::Crop),
    size(320, 320, Resizing::Crop),
    size(640, 640, Resizing::Crop),
    size(320, 240, Resizing::Scale),
    size(640, 480, Resizing::Scale),
    size(800, 600, Resizing::Scale),
];

/// How a picture is made smaller: first the whole of it, and then its middle is cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// Width and height of the whole.
    pub whole: (u32, u32),
    /// Width and height of what is cut out of its middle.
    pub middle: (u32, u32),
}

impl Reduction {
    /// The same for a picture that lies on its side.
    #[must_use]
    pub const fn turned(self) -> Self {
        let (whole, middle) = (self.whole, self.middle);
        Self { whole: (whole.1, whole.0), middle: (middle.1, middle.0) }
    }
}

impl ThumbnailSize {
    /// The smallest size that is no smaller than what was asked for. None if all are: then only the
    /// picture itself will do.
    pub fn covering(width: u64, height: u64, resizing: Resizing) -> Option<Self> {
        let covers = |size: &Self| {
            size.resizing == resizing
                && u64::from(size.width) >= width
                && u64::from(size.height) >= height
        };
        SIZES.into_iter().find(covers)
    }

    /// How a picture of `width` × `height` gets this size. None if it is not larger: nothing is ever
    /// blown up.
    pub fn reduce(self, (width, height): (u32, u32)) -> Option<Reduction> {
        if width <= self.width && height <= self.height {
            return None;
        }
        let [w, h, most_w, most_h] = [width, height, self.width, self.height].map(u64::from);
        let is_wider = w * most_h > h * most_w;
        let by_width = |to: u64| (to, (h * to / w.max(1)).max(1));
        let by_height = |to: u64| ((w * to / h.max(1)).max(1), to);
        let (whole, middle) = match (self.resizing, is_wider) {
            (Resizing::Scale, true) => (by_width(most_w), by_width(most_w)),
            (Resizing::Scale, false) => (by_height(most_h), by_height(most_h)),
            // The side that is short already stays as it is, and the other is cut to the shape.
            (Resizing::Crop, true) => {
                let height = most_h.min(h);
                (by_height(height), ((height * most_w / most_h).max(1), height))
            }
            (Resizing::Crop, false) => {
                let width = most_w.min(w);
                (by_width(width), (width, (width * most_h / most_w).max(1)))
            }
        };
        let middle = (middle.0.min(whole.0), middle.1.min(whole.1));
        Some(Reduction { whole: narrow(whole), middle: narrow(middle) })
    }
}

/// Sizes that are no larger than a picture's.
fn narrow((width, height): (u64, u64)) -> (u32, u32) {
    let narrow = |side| u32::try_from(side).unwrap_or(u32::MAX);
    (narrow(width), narrow(height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_gets_the_next_larger_size() {
        let check = |asked: (u64, u64), resizing, expected: Option<(u32, u32)>| {
            let size = ThumbnailSize::covering(asked.0, asked.1, resizing);
            assert_eq!(size.map(|size| (size.width, size.height)), expected, "{asked:?}");
            assert!(size.is_none_or(|size| size.resizing == resizing));
        };
        for (asked, expected) in [
            ((1, 1), Some((32, 32))),
            ((32, 32), Some((32, 32))),
            ((33, 32), Some((96, 96))),
            ((20, 96), Some((96, 96))),
            ((97, 1), Some((320, 320))),
            ((640, 640), Some((640, 640))),
            ((641, 1), None),
        ] {
            check(asked, Resizing::Crop, expected);
        }
        for (asked, expected) in [
            ((1, 1), Some((320, 240))),
            ((320, 240), Some((320, 240))),
            ((320, 241), Some((640, 480))),
            ((641, 1), Some((800, 600))),
            ((800, 601), None),
            ((u64::MAX, u64::MAX), None),
        ] {
            check(asked, Resizing::Scale, expected);
        }
    }

    #[test]
    fn a_thumbnail_shows_the_whole_or_the_middle() {
        let check = |size: ThumbnailSize, picture, expected: Option<((u32, u32), (u32, u32))>| {
            let reduced = size.reduce(picture).map(|it| (it.whole, it.middle));
            assert_eq!(reduced, expected, "{picture:?} to {size:?}");
        };
        let scale = size(320, 240, Resizing::Scale);
        check(scale, (640, 480), Some(((320, 240), (320, 240))));
        check(scale, (1_000, 1_000), Some(((240, 240), (240, 240))));
        check(scale, (3_200, 10), Some(((320, 1), (320, 1))));
        check(scale, (10, 2_400), Some(((1, 240), (1, 240))));
        check(scale, (320, 240), None);
        check(scale, (100, 241), Some(((99, 240), (99, 240))));
        let crop = size(96, 96, Resizing::Crop);
        check(crop, (192, 192), Some(((96, 96), (96, 96))));
        check(crop, (400, 200), Some(((192, 96), (96, 96))));
        check(crop, (200, 400), Some(((96, 192), (96, 96))));
        check(crop, (200, 50), Some(((200, 50), (50, 50))));
        check(crop, (96, 96), None);
        check(crop, (1, 5_000), Some(((1, 5_000), (1, 1))));
    }

    proptest! {
        #[test]
        fn nothing_is_blown_up_and_nothing_vanishes(
            picture in (1_u32..100_000, 1_u32..100_000),
            place in 0..SIZES.len(),
        ) {
            let size = SIZES[place];
            match size.reduce(picture) {
                None => prop_assert!(picture.0 <= size.width && picture.1 <= size.height),
                Some(Reduction { whole, middle }) => {
                    prop_assert!(whole.0 <= picture.0 && whole.1 <= picture.1);
                    prop_assert!(middle.0 <= whole.0 && middle.1 <= whole.1);
                    prop_assert!(middle.0 <= size.width && middle.1 <= size.height);
                    prop_assert!(middle.0 >= 1 && middle.1 >= 1);
                    if size.resizing == Resizing::Scale {
                        prop_assert_eq!(whole, middle);
                    }
                }
            }
        }

        #[test]
        fn a_picture_on_its_side_is_reduced_the_same_way(picture in (1_u32..5_000, 1_u32..5_000)) {
            let square = SIZES[1];
            let turned = square.reduce((picture.1, picture.0)).map(Reduction::turned);
            prop_assert_eq!(square.reduce(picture), turned);
        }
    }
}
