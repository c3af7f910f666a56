//! Revocation lists that no decent authority makes, with a good signature all the same.

use rcgen::SigningKey;

use super::forge::Ca;

/// A list in parts, each DER; what is not changed is as it should be.
pub(crate) struct ForgedList {
    pub(crate) version: Vec<u8>,
    pub(crate) this_update: Vec<u8>,
    pub(crate) next_update: Vec<u8>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl ForgedList {
    /// Of this number, in force from 2024 to 2048, with serial 3 in it.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            version: element(0x02, &[1]),
            this_update: utc("240101000000Z"),
            next_update: utc("480101000000Z"),
            entries: vec![entry(3, &[])],
            extensions: vec![extension(20, false, &element(0x02, &[number]))],
        }
    }

    /// As DER, signed by the authority.
    pub(crate) fn signed_by(&self, ca: &Ca) -> Vec<u8> {
        let extensions = element(0x30, &self.extensions.concat());
        let algorithm = ecdsa_with_sha256();
        let fields = [
            self.version.clone(),
            algorithm.clone(),
            ca.name(),
            self.this_update.clone(),
            self.next_update.clone(),
            element(0x30, &self.entries.concat()),
            element(0xa0, &extensions),
        ];
        let signed = element(0x30, &fields.concat());
        let signature = [vec![0], ca.key().sign(&signed).unwrap()].concat();
        let list = [signed, algorithm, element(0x03, &signature)];
        element(0x30, &list.concat())
    }
}

/// A revoked serial.
pub(crate) fn entry(serial: u8, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut fields = [element(0x02, &[serial]), utc("240506000000Z")].concat();
    if !extensions.is_empty() {
        fields.extend(element(0x30, &extensions.concat()));
    }
    element(0x30, &fields)
}

/// The extension 2.5.29.`arc`; an arc nobody knows is an unknown extension.
pub(crate) fn extension(arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut fields = element(0x06, &[0x55, 0x1d, arc]);
    if critical {
        fields.extend(element(0x01, &[0xff]));
    }
    fields.extend(element(0x04, value));
    element(0x30, &fields)
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    element(0x17, text.as_bytes())
}

pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    der.extend_from_slice(content);
    der
}

fn ecdsa_with_sha256() -> Vec<u8> {
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    element(0x30, &element(0x06, &oid))
}
