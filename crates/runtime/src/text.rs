//! How records are written as text by `print` and the text sinks: any type that `serde` can write, the way Flink's users
//! know it: `(word,1)`, `[a, b]`, `{k=v}`, `Reading{sensor=7, value=21.5}`, text without quotes, `null` for nothing.

use serde::ser::{self, Serialize};
use std::fmt;
use std::io::Write;

/// Appends the text of a record.
///
/// # Errors
/// The record's own `Serialize` fails.
#[inline]
pub fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, record: &T) -> Result<(), TextError> {
    record.serialize(TextWriter { out })
}

/// A record that refuses to be serialised.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a record as text: {0}")]
pub struct TextError(String);

impl ser::Error for TextError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        TextError(message.to_string())
    }
}

struct TextWriter<'a> {
    out: &'a mut Vec<u8>,
}

/// Appends a number in decimal.
#[inline]
fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    decimal(out, value.unsigned_abs());
}

macro_rules! numbers {
    ($($method:ident($type:ty) $write:ident;)*) => {
        $(#[inline] fn $method(self, value: $type) -> Result<(), TextError> {
            $write(self.out, value.into());
            Ok(())
        })*
    };
}

macro_rules! formatted {
    ($($method:ident($type:ty) $format:literal;)*) => {
        $(fn $method(self, value: $type) -> Result<(), TextError> {
            // Writing to a vector does not fail.
            let _ = write!(self.out, $format, value);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for TextWriter<'a> {
    type Ok = ();
    type Error = TextError;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    numbers! {
        serialize_i8(i8) signed; serialize_i16(i16) signed; serialize_i32(i32) signed; serialize_i64(i64) signed;
        serialize_u8(u8) decimal; serialize_u16(u16) decimal; serialize_u32(u32) decimal;
        serialize_u64(u64) decimal;
    }

    formatted! {
        serialize_bool(bool) "{}"; serialize_i128(i128) "{}"; serialize_u128(u128) "{}"; serialize_char(char) "{}";
        serialize_f32(f32) "{:?}"; serialize_f64(f64) "{:?}";
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), TextError> {
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), TextError> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), TextError> {
        self.serialize_str("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), TextError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), TextError> {
        self.serialize_str("()")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), TextError> {
        self.serialize_str(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), TextError> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), TextError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), TextError> {
        let mut list = List::open(self.out, name, "(", ")", ",");
        list.item(None, value)?;
        list.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, "", "[", "]", ", "))
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, "", "(", ")", ","))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, name, "(", ")", ","))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, name, "(", ")", ","))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, "", "{", "}", ", "))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, name, "{", "}", ", "))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List<'a>, TextError> {
        Ok(List::open(self.out, name, "{", "}", ", "))
    }
}

/// A list that is being written: items with separators, and a closing bracket.
struct List<'a> {
    out: &'a mut Vec<u8>,
    close: &'static str,
    separator: &'static str,
    first: bool,
}

impl<'a> List<'a> {
    #[inline]
    fn open(
        out: &'a mut Vec<u8>,
        name: &str,
        open: &str,
        close: &'static str,
        separator: &'static str,
    ) -> List<'a> {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(open.as_bytes());
        List { out, close, separator, first: true }
    }

    #[inline]
    fn separate(&mut self) {
        if !self.first {
            self.out.extend_from_slice(self.separator.as_bytes());
        }
        self.first = false;
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, name: Option<&str>, value: &T) -> Result<(), TextError> {
        self.separate();
        if let Some(name) = name {
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'=');
        }
        append(self.out, value)
    }

    #[inline]
    fn close(self) -> Result<(), TextError> {
        self.out.extend_from_slice(self.close.as_bytes());
        Ok(())
    }
}

macro_rules! compound {
    ($($trait:ident::$method:ident($($name:ident)?);)*) => {
        $(impl<'a> ser::$trait for List<'a> {
            type Ok = ();
            type Error = TextError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), TextError> {
                let name = None::<&str>$(.or(Some($name)))?;
                self.item(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), TextError> {
                self.close()
            }
        })*
    };
}

compound! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(key);
    SerializeStructVariant::serialize_field(key);
}

impl<'a> ser::SerializeMap for List<'a> {
    type Ok = ();
    type Error = TextError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), TextError> {
        self.item(None, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TextError> {
        self.out.push(b'=');
        append(self.out, value)
    }

    fn end(self) -> Result<(), TextError> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    fn text<T: serde::Serialize>(record: &T) -> String {
        let mut out = Vec::new();
        super::append(&mut out, record).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[derive(serde::Serialize)]
    struct Reading {
        sensor: u8,
        value: f64,
        note: Option<&'static str>,
    }

    #[test]
    fn records_read_as_flinks_users_know_them() {
        assert_eq!(text(&("hello", 1_u64)), "(hello,1)");
        assert_eq!(text(&i64::MIN), i64::MIN.to_string());
        assert_eq!(text(&vec![1, 20, 300]), "[1, 20, 300]");
        assert_eq!(text(&BTreeMap::from([("a", 1), ("b", 2)])), "{a=1, b=2}");
        let reading = Reading { sensor: 7, value: 21.0, note: None };
        assert_eq!(text(&reading), "Reading{sensor=7, value=21.0, note=null}");
        assert_eq!(text(&(true, ('x', ()))), "(true,(x,()))");
    }
}
