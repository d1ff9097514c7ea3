//! A server that is told nonsense: it lives, stays small, loses nothing, and its
//! honest peers don't notice.

mod common;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use blaze_codec::frame::header;
use blaze_codec::limits::BODY_BYTES_MAX;
use blaze_codec::message::{
    Ack, ChangesFrame, Message, Reason, Resume, Start, TRANSACTION_BYTES_MAX, encode_changes,
    encode_roll,
};
use blaze_codec::{Change, Operation, RecordKey};
use blaze_sync::{Hlc, Mode, NodeId, Seq, Version, record};
use common::hostile::{HANDSHAKE_MAX, Server, Target, Wire, hello};

/// The collection that hostile peers write to.
const EVIL: &str = "evil";

fn nothing_else(_: &str) -> bool {
    false
}

/// A change that a peer could make, by its clock.
fn operation(hlc: Hlc) -> Operation {
    Operation {
        collection: EVIL.parse().unwrap(),
        key: RecordKey::from("k"),
        version: Version { epoch: Hlc::ZERO, hlc, node: NodeId::from_bytes([9; 16]) },
        base: Version::ZERO,
        change: Change::Insert(record! { "text" => "hello", "number" => 7 }),
    }
}

/// The body of the frame with one change.
fn changes(hlc: Hlc) -> Vec<u8> {
    encode_changes(Seq::ZERO, Seq(1), &[operation(hlc)])[0].to_vec()
}

fn resume() -> Message {
    Message::Resume(Resume { after: Seq::ZERO, last: None, credit: 1 << 24 })
}

fn ack(through: u64) -> Message {
    Message::Ack(Ack { through: Seq(through), credit: 0, head: Seq::ZERO })
}

/// A conversation in which the peer may send changes.
fn started(target: &Target) -> Wire {
    let mut wire = target.greeted(|_| ());
    assert!(wire.say(&resume()));
    wire.started()
}

#[test]
fn frames_that_are_none() {
    let mut server = Server::start();
    server.attack(|target| {
        let body = Message::Hello(hello()).encode();
        let frame = [&header(&body)[..], &body].concat();
        for end in 0..frame.len() {
            let mut wire = target.connect();
            wire.write(&frame[..end]);
            wire.end();
        }
        let over = u32::try_from(BODY_BYTES_MAX).unwrap() + 1;
        for length in [0, 1, over, i32::MAX.cast_unsigned(), u32::MAX] {
            let mut wire = target.connect();
            wire.write(&[&length.to_le_bytes()[..], &[1; 4]].concat());
            // Refused by its length alone, without waiting for the rest.
            wire.ends();
        }
    });
    server.finish(nothing_else);
}

/// Sends a conversation in which one bit of one body is flipped, once for each
/// byte. `seal` makes a frame of the flipped one and the header of the true one.
fn flip_bits(target: &Target, seal: impl Fn([u8; 8], &[u8]) -> Vec<u8>) {
    let say = |part: usize, at: usize| {
        let hello = Message::Hello(hello()).encode();
        let parts = [hello.to_vec(), resume().encode().to_vec(), changes(Hlc::from_millis(1))];
        let mut flipped = parts[part].clone();
        let Some(byte) = flipped.get_mut(at) else { return false };
        *byte ^= 1 << (at % 8);
        let mut wire = target.connect();
        parts[..part].iter().for_each(|body| assert!(wire.frame(body)));
        if part == 2 {
            wire = wire.started();
        }
        wire.write(&seal(header(&parts[part]), &flipped));
        wire.end();
        true
    };
    for part in 0..3 {
        let flips = (0..BODY_BYTES_MAX).take_while(|at| say(part, *at)).count();
        assert!(flips >= 5, "{flips}");
    }
}

#[test]
fn flipped_bits_are_noticed() {
    let mut server = Server::start();
    server.attack(|target| flip_bits(target, |header, body| [&header, body].concat()));
    server.finish(nothing_else);
}

#[test]
fn flipped_bits_with_a_true_checksum_harm_nobody_else() {
    let mut server = Server::start();
    server.attack(|target| flip_bits(target, |_, body| [&header(body), body].concat()));
    // What is still a change is one: to another collection, of another text.
    server.finish(|_| true);
}

#[test]
fn a_thousand_random_streams() {
    let mut server = Server::start();
    server.attack(|target| {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..500 {
            let bytes = random.usize(0..2_000);
            let mut noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(bytes).collect();
            let mut wire = match round % 4 {
                0 | 1 => target.connect(),
                2 => target.greeted(|_| ()),
                _ => started(target),
            };
            if round % 4 == 0 {
                wire.write(&noise);
            } else {
                // Past the checks of frames, and often past those of kinds.
                if let [kind, flags, ..] = &mut noise[..] {
                    (*kind, *flags) = (random.u8(0..11), random.u8(0..2));
                }
                wire.frame(&noise);
            }
            wire.end();
        }
    });
    server.finish(nothing_else);
}

#[test]
fn what_a_peer_may_not_say_after_its_hello() {
    let mut server = Server::start();
    server.attack(|target| {
        let refused = |body: &[u8]| {
            let mut wire = target.greeted(|_| ()).asked();
            wire.frame(body);
            wire.refused(Reason::Violation)
        };
        let message = refused(&Message::Hello(hello()).encode());
        assert_eq!(message, "you broke the protocol: one hello a session");
        for (body, what) in [
            (vec![0, 0], "frame kind"),
            (vec![200, 0, 1], "frame kind"),
            (vec![5, 9, 1], "frame flags"),
            (vec![4, 0], "ack"),
            ([&[7, 0], &[255; 9][..]].concat(), "goodbye"),
            (vec![7; 5_000], "frame flags"),
            ([&[7, 0], &[0; 5_000][..]].concat(), "control message bytes"),
        ] {
            let message = refused(&body);
            assert!(message.starts_with("what you sent can't be decoded: "), "{message}");
            assert!(message.contains(what), "{message}");
        }
        let mut wire = target.connect();
        wire.say(&Message::Ping(1));
        assert!(wire.refused(Reason::Violation).contains("the first message is a hello"));
    });
    server.finish(nothing_else);
}

#[test]
fn hellos_of_those_who_are_no_peers() {
    let mut server = Server::start();
    server.attack(|target| {
        let other = target.greeted(|hello| hello.database = "other".into());
        let message = other.refused(Reason::Database);
        assert_eq!(message, "the database \"other\" is not served here");

        let node = target.server().node;
        let message = target.greeted(|hello| hello.node = node).refused(Reason::SameNode);
        assert!(message.contains("your database file is a copy"), "{message}");

        let newer = target.greeted(|hello| (hello.protocol_min, hello.protocol_max) = (7, 9));
        let message = newer.refused(Reason::ProtocolVersion);
        assert!(message.contains("versions 7 to 9") && message.contains("update"), "{message}");
    });
    server.finish(nothing_else);
}

#[test]
fn what_the_mode_does_not_allow() {
    let mut server = Server::start();
    server.attack(|target| {
        let mut reader = target.greeted(|hello| hello.mode = Mode::ReadOnly);
        for number in 0..50 {
            reader.say(&Message::Ping(number));
            reader.hear_until(|message| {
                assert!(!matches!(message, Message::Resume(_)), "it asks for changes");
                *message == Message::Pong(number)
            });
        }
        reader.frame(&changes(Hlc::from_millis(1)));
        let message = reader.refused(Reason::Violation);
        assert!(message.contains("changes come only where the mode allows them"), "{message}");

        let mut writer = target.greeted(|hello| hello.mode = Mode::WriteOnly).asked();
        writer.say(&resume());
        let message = writer.refused(Reason::Violation);
        assert!(message.contains("only where the mode allows them"), "{message}");
    });
    server.finish(nothing_else);
}

#[test]
fn claims_that_cannot_be_true() {
    let mut server = Server::start();
    server.attack(|target| {
        let after = |mut wire: Wire, reason, bodies: &[Vec<u8>]| {
            for body in bodies {
                assert!(wire.frame(body));
            }
            wire.refused(reason)
        };
        let refused =
            |reason, bodies: &[Vec<u8>]| after(target.greeted(|_| ()).asked(), reason, bodies);
        let resume = || resume().encode().to_vec();
        let message = refused(Reason::Violation, &[resume(), ack(1 << 40).encode().to_vec()]);
        assert!(message.contains("an ack covers only what was sent"), "{message}");
        let message = refused(Reason::Violation, &[ack(0).encode().to_vec()]);
        assert!(message.contains("an ack answers changes"), "{message}");
        let message = refused(Reason::Violation, &[resume(), resume()]);
        assert!(message.contains("one resume a session"), "{message}");
        let beyond = Resume { after: Seq(1 << 40), last: None, credit: 1 << 24 };
        let beyond = Message::Resume(beyond).encode().to_vec();
        let message = refused(Reason::Violation, &[beyond]);
        assert!(message.contains("holds no more than there is"), "{message}");

        let start = |roll| Message::Start(Start { roll }).encode().to_vec();
        let message = refused(Reason::Violation, &[start(None)]);
        assert!(message.contains("a start answers a resume"), "{message}");
        let message = refused(Reason::Violation, &[resume(), start(None), start(None)]);
        assert!(message.contains("one start a session"), "{message}");
        let message = refused(Reason::Violation, &[resume(), start(Some(Seq(1)))]);
        assert!(message.contains("a roll is of what was merged before"), "{message}");
        let early = encode_changes(Seq::ZERO, Seq(1), &[])[0].to_vec();
        let message = refused(Reason::Violation, &[early]);
        assert!(message.contains("changes come after a start"), "{message}");

        let refused = |reason, bodies: &[Vec<u8>]| after(started(target), reason, bodies);
        let roll = encode_roll(Seq::ZERO, Seq(1), &[]).unwrap().to_vec();
        let message = refused(Reason::Violation, &[roll]);
        assert!(message.contains("a roll comes where it is asked for"), "{message}");
        let gap = encode_changes(Seq(7), Seq(8), &[])[0].to_vec();
        let message = refused(Reason::Violation, &[gap]);
        assert!(message.contains("changes follow what was sent before"), "{message}");

        let tomorrow = SystemTime::now() + Duration::from_secs(24 * 3_600);
        let tomorrow = tomorrow.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let tomorrow = Hlc::from_millis(u64::try_from(tomorrow).unwrap());
        let message = refused(Reason::ClockDrift, &[changes(tomorrow)]);
        assert!(message.contains("your clock is ahead"), "{message}");

        let mut usurped = operation(Hlc::from_millis(1));
        usurped.version.epoch = Hlc::from_bits(u64::MAX);
        let usurped = encode_changes(Seq::ZERO, Seq(1), &[usurped])[0].to_vec();
        let message = refused(Reason::Violation, &[usurped]);
        assert!(message.contains("above what its writer saw"), "{message}");
    });
    server.finish(nothing_else);
}

#[test]
fn compressed_frames_that_are_more_than_they_say() {
    let mut server = Server::start();
    server.attack(|target| {
        // 1 MiB of LZ4's longest lengths: what it could become is 255 times that.
        let lengths = vec![255; BODY_BYTES_MAX / 2];
        for (flags, says) in [(2, BODY_BYTES_MAX - 2), (2, BODY_BYTES_MAX), (2, 1 << 31), (6, 9)] {
            let says = u32::try_from(says).unwrap().to_le_bytes();
            let bomb = [&[3, flags][..], &says, &[0x1f, 0, 1, 0], &lengths].concat();
            let mut wire = started(target);
            assert!(wire.frame(&bomb));
            let message = wire.refused(Reason::Violation);
            assert!(message.contains("can't be decoded"), "{message}");
        }
    });
    server.finish(nothing_else);
}

#[test]
fn a_transaction_without_end() {
    let mut server = Server::start();
    server.attack(|target| {
        let mut wire = started(target);
        let piece = ChangesFrame { more: true, payload: vec![0; BODY_BYTES_MAX - 2].into() };
        let piece = Message::Changes(piece).encode();
        let pieces = 2 * TRANSACTION_BYTES_MAX / BODY_BYTES_MAX + 1;
        (0..pieces).for_each(|_| assert!(wire.frame(&piece)));
        let message = wire.refused(Reason::Violation);
        assert!(message.contains("a transaction stays within its limit"), "{message}");
    });
    server.finish(nothing_else);
}

#[test]
fn three_hundred_connections_that_say_nothing() {
    const CONNECTIONS: usize = 300;
    let mut server = Server::start();
    let started = Instant::now();
    let [unix, _tcp] = &server.targets()[..] else { panic!("two endpoints") };
    let mut wires: Vec<_> = (0..CONNECTIONS).map(|_| unix.connect()).collect();
    let body = Message::Hello(hello()).encode();
    for (number, wire) in wires.iter_mut().enumerate() {
        // Some begin to say something.
        let begun = [&[][..], &header(&body)[..3], &header(&body)];
        wire.write(begun[number % begun.len()]);
    }
    assert!(server.is_small());
    // Honest newcomers wait until the first places are free.
    server.assert_well();
    assert!(started.elapsed() > Duration::from_secs(3), "there were places left");
    for wire in wires {
        let message = wire.refused(Reason::Timeout);
        assert!(message.contains("nothing heard from"), "{message}");
    }
    assert!(started.elapsed() < HANDSHAKE_MAX, "{:?}", started.elapsed());
    server.finish(nothing_else);
}
