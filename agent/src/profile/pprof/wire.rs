//! Protobuf on the wire: fields one after another, without a copy.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use super::Malformed;

/// What is left of a message.
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

const CUT: Malformed = Malformed("its message is cut short");

impl<'a> Wire<'a> {
    /// The next field and its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Number(fixed(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Number(fixed(self.take(4)?)),
            _ => return Err(Malformed("its message has a field of no known kind")),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(CUT)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("its message has a number that is too long"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl Field<'_> {
    /// Appends the numbers of a repeated field, whether they are packed or stand alone, up to `most` of them.
    pub(super) fn numbers(self, most: usize, numbers: &mut Vec<u64>) -> Result<(), Malformed> {
        match self {
            Self::Number(number) => numbers.push(number),
            Self::Bytes(bytes) => {
                let mut wire = Wire(bytes);
                while !wire.0.is_empty() {
                    numbers.push(wire.varint()?);
                    if numbers.len() > most {
                        break;
                    }
                }
            }
        }
        if numbers.len() > most { Err(Malformed("it has too many entries")) } else { Ok(()) }
    }
}

/// A number of fixed width, the lowest byte first.
fn fixed(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
