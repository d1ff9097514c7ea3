//! The same data in place: texts and bytes lie where they were encoded.

use std::borrow::Cow;

use crate::model::{Id, Version};

/// Derives what formats need to read in place.
macro_rules! borrowed {
    ($($item:item)*) => {
        $(
            #[derive(serde::Deserialize, bincode::BorrowDecode, minicbor::Decode, speedy::Readable)]
            $item
        )*
    };
}

borrowed! {
    pub(crate) struct Operation<'a> {
        #[b(0)]
        pub(crate) collection: &'a str,
        #[b(1)]
        #[serde(borrow)]
        pub(crate) key: Key<'a>,
        #[n(2)]
        pub(crate) version: Version,
        #[n(3)]
        pub(crate) base: Option<Version>,
        #[b(4)]
        #[serde(borrow)]
        pub(crate) change: Change<'a>,
    }

    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    pub(crate) enum Key<'a> {
        #[n(0)]
        Uuid(#[n(0)] Id),
        #[n(1)]
        Int(#[n(0)] i64),
        #[n(2)]
        Text(#[b(0)] &'a str),
        #[n(3)]
        Bytes(
            #[b(0)]
            #[cbor(with = "minicbor::bytes")]
            #[serde(borrow, with = "crate::text::bytes")]
            Cow<'a, [u8]>,
        ),
    }

    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    pub(crate) enum Change<'a> {
        #[n(0)]
        Insert(#[b(0)] #[serde(borrow)] Vec<(&'a str, Value<'a>)>),
        #[n(1)]
        Update(#[b(0)] #[serde(borrow)] Vec<(&'a str, Option<Value<'a>>)>),
        #[n(2)]
        Delete,
    }

    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    pub(crate) enum Value<'a> {
        #[n(0)]
        Null,
        #[n(1)]
        Bool(#[n(0)] bool),
        #[n(2)]
        Int(#[n(0)] i64),
        #[n(3)]
        Float(#[n(0)] f64),
        #[n(4)]
        Text(#[b(0)] &'a str),
        #[n(5)]
        Bytes(
            #[b(0)]
            #[cbor(with = "minicbor::bytes")]
            #[serde(borrow, with = "crate::text::bytes")]
            Cow<'a, [u8]>,
        ),
        #[n(6)]
        Uuid(#[n(0)] Id),
        #[n(7)]
        Timestamp(#[n(0)] i64),
        #[n(8)]
        Array(#[b(0)] #[serde(borrow)] Vec<Value<'a>>),
        #[n(9)]
        Map(#[b(0)] #[serde(borrow)] Vec<(&'a str, Value<'a>)>),
    }
}
