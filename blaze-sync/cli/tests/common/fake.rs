//! A server that answers a hello in a way of its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;

use blaze_codec::frame::{HEADER_BYTES, header};
use blaze_codec::message::{Hello, Message};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// Serves one client at a port of its own, of which this is the endpoint: reads the hello, and
/// writes what this makes of it.
pub fn serve(answer: impl FnOnce(Hello) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let hello = hear(&mut client);
        // A client that has heard enough may be gone.
        let _ = client.write_all(&answer(hello));
        let _ = client.read_to_end(&mut Vec::new());
    });
    endpoint
}

/// A port that is taken, so that nobody else takes it, and at which nobody listens.
pub fn silent_port() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// A message as it lies on the wire.
pub fn framed(message: &Message) -> Vec<u8> {
    let body = message.encode();
    [&header(&body)[..], &body[..]].concat()
}

fn hear(client: &mut TcpStream) -> Hello {
    let mut header = [0; HEADER_BYTES];
    client.read_exact(&mut header).unwrap();
    let length = u32::from_le_bytes(header[..4].try_into().unwrap());
    let mut body = vec![0; usize::try_from(length).unwrap()];
    client.read_exact(&mut body).unwrap();
    match Message::decode(body.into()) {
        Ok(Message::Hello(hello)) => hello,
        other => panic!("{other:?} is no hello"),
    }
}

/// Answers whatever a client says first with this, and hangs up when it does.
pub fn answer_anything(listener: &TcpListener, answer: &[u8]) {
    let (mut client, _) = listener.accept().unwrap();
    assert_ne!(client.read(&mut [0; 1024]).unwrap(), 0);
    let _ = client.write_all(answer);
    let _ = client.read_to_end(&mut Vec::new());
}
