//! Records written by the rules of BlazeDB's layout, independently of what reads them.

use blaze_codec::blazedb::{BlazeDbError, Decoder};
use blaze_codec::{Record, Value};

/// A record of version 1 with so many fields.
pub(crate) fn plain(fields: u16, body: &[u8]) -> Vec<u8> {
    [b"BLAZE\x01", &fields.to_be_bytes()[..], body].concat()
}

/// A record of version 2 with so many fields.
pub(crate) fn checked(fields: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = plain(fields, body);
    bytes[5] = 2;
    let crc = crc32(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes
}

/// CRC-32, bit by bit, as its definition has it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A counted sequence of records.
pub(crate) fn sequence(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = count32(records.len()).to_vec();
    for record in records {
        bytes.extend(count32(record.len()));
        bytes.extend(record);
    }
    bytes
}

/// The body of a record, with every name spelt and every value in its long form.
pub(crate) fn long(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in record {
        bytes.push(0xff);
        write_text(&count16(name.len()), name, &mut bytes);
        write(value, &mut bytes);
    }
    bytes
}

/// How many fields a record has.
pub(crate) fn fields(record: &Record) -> u16 {
    u16::from_be_bytes(count16(record.len()))
}

fn write(value: &Value, out: &mut Vec<u8>) {
    let mut tagged = |tag: u8, body: &[u8]| {
        out.push(tag);
        out.extend(body);
    };
    match value {
        Value::Text(text) => {
            out.push(0x01);
            write_text(&count32(text.len()), text, out);
        }
        Value::Int(int) => tagged(0x02, &int.to_be_bytes()),
        Value::Float(float) => tagged(0x03, &float.to_be_bytes()),
        Value::Bool(bool) => tagged(0x04, &[u8::from(*bool)]),
        Value::Uuid(uuid) => tagged(0x05, uuid.as_bytes()),
        #[expect(clippy::cast_precision_loss, reason = "those written have less than 53 bits")]
        Value::Timestamp(moment) => {
            tagged(0x06, &((moment.0 - 978_307_200_000) as f64 / 1000.0).to_be_bytes());
        }
        Value::Bytes(bytes) => {
            tagged(0x07, &count32(bytes.len()));
            out.extend(bytes);
        }
        Value::Array(values) => {
            tagged(0x08, &count16(values.len()));
            for value in values {
                write(value, out);
            }
        }
        Value::Map(fields) => {
            tagged(0x09, &count16(fields.len()));
            for (name, value) in fields {
                write_text(&count16(name.len()), name, out);
                write(value, out);
            }
        }
        Value::Null => tagged(0x0b, &[]),
    }
}

fn write_text(length: &[u8], text: &str, out: &mut Vec<u8>) {
    out.extend(length);
    out.extend(text.as_bytes());
}

fn count16(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap().to_be_bytes()
}

fn count32(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap().to_be_bytes()
}

/// All records of an input that comes in pieces of this length.
pub(crate) fn decode(bytes: &[u8], piece: usize) -> Result<Vec<(u64, Record)>, BlazeDbError> {
    let mut decoder = Decoder::new();
    let mut records = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        while let Some(record) = decoder.next_record()? {
            records.push(record);
        }
    }
    decoder.end();
    while let Some(record) = decoder.next_record()? {
        records.push(record);
    }
    Ok(records)
}
