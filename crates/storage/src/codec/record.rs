/// Makes a struct a [`Value`](crate::Value) and a [`Field`](crate::Field) by naming its fields in their stored order.
///
/// ```
/// struct Head { depth: u64, topic: Option<String> }
/// tertulia_storage::record!(Head = 1 { depth, topic });
/// ```
///
/// The number is the version that is written in front. A later version adds fields behind the others and says what
/// they are in rows of older versions: `record!(Head = 2 { depth, topic } since 2 { avatar = None });`
#[macro_export]
macro_rules! record {
    (
        $name:ident = $version:literal { $($field:ident),* $(,)? }
        $(since $since:literal { $($added:ident = $default:expr),* $(,)? })*
    ) => {
        impl $crate::Field for $name {
            fn write(&self, out: &mut $crate::Writer) {
                out.byte($version);
                $($crate::Field::write(&self.$field, out);)*
                $($($crate::Field::write(&self.$added, out);)*)*
            }

            fn read(input: &mut $crate::Reader<'_>) -> ::std::result::Result<Self, $crate::ValueError> {
                let _version = input.version($version)?;
                $(let $field = $crate::Field::read(input)?;)*
                $($(let $added = if _version >= $since { $crate::Field::read(input)? } else { $default };)*)*
                Ok(Self { $($field,)* $($($added,)*)* })
            }
        }

        impl $crate::Value for $name {
            fn write(&self, out: &mut $crate::Writer) {
                $crate::Field::write(self, out);
            }

            fn read(input: &mut $crate::Reader<'_>) -> ::std::result::Result<Self, $crate::ValueError> {
                <Self as $crate::Field>::read(input)
            }
        }
    };
}
