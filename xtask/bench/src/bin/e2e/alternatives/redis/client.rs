//! The least of a Redis client: requests and replies over a blocking Unix socket.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// Requests are sent together up to about so many bytes.
const LARGE_BYTES: usize = 64 * 1024;
/// No reply here is longer.
const LONGEST: usize = 1 << 30;

/// A connection; requests wait in it until replies are asked for.
pub(super) struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    requests: Vec<u8>,
    unanswered: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(String),
    Int(i64),
    Bytes(Vec<u8>),
    Nothing,
    Array(Vec<Reply>),
}

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("can't connect to {}", socket.display()))?;
        let reader = BufReader::with_capacity(LARGE_BYTES, stream.try_clone()?);
        Ok(Self { stream, reader, requests: Vec::new(), unanswered: 0 })
    }

    /// Adds a request to those to be sent.
    pub(super) fn ask<'part>(
        &mut self,
        parts: impl IntoIterator<Item = &'part [u8], IntoIter: Clone>,
    ) {
        encode(&mut self.requests, parts.into_iter());
        self.unanswered += 1;
    }

    /// Sends what waits if it is much, without reading replies: they are short
    /// enough to be kept by the server.
    pub(super) fn send_large(&mut self) -> Result<()> {
        if self.requests.len() >= LARGE_BYTES { self.send() } else { Ok(()) }
    }

    /// Sends what waits, and reads a reply for each request not yet answered.
    pub(super) fn replies(&mut self) -> Result<Vec<Reply>> {
        self.send()?;
        (0..std::mem::take(&mut self.unanswered)).map(|_| self.reply()).collect()
    }

    /// Reads one reply, or a message.
    pub(super) fn reply(&mut self) -> Result<Reply> {
        decode(&mut self.reader)
    }

    /// Asks for something that is answered by text.
    pub(super) fn text(&mut self, parts: &[&[u8]]) -> Result<String> {
        self.ask(parts.iter().copied());
        let reply = self.replies()?.pop().context("a request has a reply")?;
        Ok(String::from_utf8(reply.into_bytes()?)?)
    }

    /// How many keys the server has.
    pub(super) fn keys(&mut self) -> Result<usize> {
        self.ask([&b"DBSIZE"[..]]);
        match self.replies()?.pop() {
            Some(Reply::Int(keys)) => Ok(keys.try_into()?),
            other => bail!("redis answered {other:?} when asked for its size"),
        }
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.requests)?;
        self.requests.clear();
        Ok(())
    }
}

impl Reply {
    pub(super) fn into_bytes(self) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Status(text) => Ok(text.into_bytes()),
            other => bail!("redis answered {other:?} instead of bytes"),
        }
    }
}

fn encode<'part>(out: &mut Vec<u8>, parts: impl Iterator<Item = &'part [u8]> + Clone) {
    out.extend_from_slice(format!("*{}\r\n", parts.clone().count()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

fn decode(input: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    ensure!(input.read_line(&mut line)? > 0, "redis closed the connection");
    let line = line.trim_end_matches("\r\n");
    let (kind, rest) = line.split_at_checked(1).context("redis answered nothing")?;
    let length = || -> Result<Option<usize>> {
        let length: i64 = rest.parse()?;
        let length = usize::try_from(length).ok();
        ensure!(length.is_none_or(|length| length <= LONGEST), "a reply of {length:?} bytes");
        Ok(length)
    };
    Ok(match kind {
        "+" => Reply::Status(rest.to_owned()),
        "-" => bail!("redis answered {rest:?}"),
        ":" => Reply::Int(rest.parse()?),
        "$" => {
            let Some(length) = length()? else { return Ok(Reply::Nothing) };
            let mut bytes = vec![0; length + 2];
            input.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Reply::Bytes(bytes)
        }
        "*" => {
            let Some(length) = length()? else { return Ok(Reply::Nothing) };
            Reply::Array((0..length).map(|_| decode(input)).collect::<Result<_>>()?)
        }
        _ => bail!("redis answered {line:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Reply, decode, encode};

    #[test]
    fn requests_are_arrays_of_bytes() {
        let mut out = Vec::new();
        encode(&mut out, [&b"SET"[..], b"key", b"a\r\nb"].into_iter());
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn replies_of_all_kinds_are_read() {
        let mut input =
            &b"+OK\r\n:7\r\n$4\r\na\r\nb\r\n$-1\r\n*2\r\n$1\r\nx\r\n:1\r\n-ERR no\r\n*1"[..];
        assert_eq!(decode(&mut input).unwrap(), Reply::Status("OK".to_owned()));
        assert_eq!(decode(&mut input).unwrap(), Reply::Int(7));
        assert_eq!(decode(&mut input).unwrap(), Reply::Bytes(b"a\r\nb".to_vec()));
        assert_eq!(decode(&mut input).unwrap(), Reply::Nothing);
        let array = vec![Reply::Bytes(b"x".to_vec()), Reply::Int(1)];
        assert_eq!(decode(&mut input).unwrap(), Reply::Array(array));
        assert!(decode(&mut input).unwrap_err().to_string().contains("ERR no"));
        assert!(decode(&mut input).is_err(), "an array without its element");
        assert!(decode(&mut input).is_err(), "the end");
    }
}
