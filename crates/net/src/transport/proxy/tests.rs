#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;

fn header_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE_2.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes
}

fn v4_body(values: &[u8]) -> Vec<u8> {
    let mut body = vec![192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 7, 0x5b];
    body.extend(values);
    body
}

fn ssl_value(flags: u8, verify: u32, names: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![flags];
    value.extend(verify.to_be_bytes());
    value.extend(tlv(0x21, b"TLSv1.3"));
    names
        .iter()
        .for_each(|name| value.extend(tlv(SUBTYPE_SSL_CN, name)));
    tlv(TYPE_SSL, &value)
}

fn client(bytes: &[u8]) -> Option<Client> {
    match parse(bytes).unwrap() {
        Parsed::Header { length, client } => {
            assert_eq!(length, bytes.len());
            client
        }
        Parsed::Incomplete => panic!("a whole header"),
    }
}

#[test]
fn s89_every_truncation_waits_and_reads_no_further() {
    let v6: Vec<u8> = (0..36).collect();
    let headers = [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7 ::1 40000 1883\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        header_2(0x20, 0, &[]),
        header_2(0x21, TCP4, &v4_body(&ssl_value(3, 0, &[b"meter"]))),
        header_2(0x21, TCP6, &v6),
    ];
    for header in headers {
        for end in 0..header.len() {
            assert_eq!(
                parse(&header[..end]),
                Ok(Parsed::Incomplete),
                "{end} of {header:?}"
            );
        }
        let whole = parse(&header).unwrap();
        let mut more = header.clone();
        more.extend(b"\x10\x0cwhat follows");
        assert_eq!(
            parse(&more).unwrap(),
            whole,
            "what follows is not looked at"
        );
    }
}

#[test]
fn both_versions_name_the_client() {
    let wanted: SocketAddr = "192.0.2.7:40000".parse().unwrap();
    let one = client(b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883\r\n").unwrap();
    let two = client(&header_2(0x21, TCP4, &v4_body(&[]))).unwrap();
    assert_eq!((one.address, two.address), (wanted, wanted));
    assert_eq!((one.certificate, two.certificate), (None, None));
    let wanted: SocketAddr = "[2001:db8::7]:40000".parse().unwrap();
    let one = client(b"PROXY TCP6 2001:db8::7 ::1 40000 1883\r\n").unwrap();
    let mut body = Ipv6Addr::from_str("2001:db8::7").unwrap().octets().to_vec();
    body.extend(Ipv6Addr::LOCALHOST.octets());
    body.extend([0x9c, 0x40, 7, 0x5b]);
    let two = client(&header_2(0x21, TCP6, &body)).unwrap();
    assert_eq!((one.address, two.address), (wanted, wanted));
}

#[test]
fn a_proxy_may_speak_for_itself() {
    assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
    assert_eq!(client(b"PROXY UNKNOWN ffff::1 ::2 1 2\r\n"), None);
    assert_eq!(client(&header_2(0x20, 0, &[])), None);
    // What a LOCAL header carries is ignored, even if it makes no sense.
    assert_eq!(client(&header_2(0x20, TCP4, b"abc")), None);
}

#[test]
fn s89_lines_that_are_wrong() {
    for line in [
        "PROXY TCP4 192.0.2.7 10.0.0.1 40000\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883 9\r\n",
        "PROXY TCP4  192.0.2.7 10.0.0.1 40000 1883\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 65536 1883\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 +40 1883\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 40000 \r\n",
        "PROXY TCP4 192.0.2.256 10.0.0.1 40000 1883\r\n",
        "PROXY TCP4 ::1 ::1 40000 1883\r\n",
        "PROXY TCP6 192.0.2.7 10.0.0.1 40000 1883\r\n",
        "PROXY UDP4 192.0.2.7 10.0.0.1 40000 1883\r\n",
        "PROXY tcp4 192.0.2.7 10.0.0.1 40000 1883\r\n",
        "PROXY \r\n",
        "PROXY \u{e9}\r\n",
        "proxy TCP4",
        "GET / HTTP/1.1\r\n",
        "PROXZ",
    ] {
        assert!(parse(line.as_bytes()).is_err(), "{line}");
    }
    let mut long = b"PROXY UNKNOWN ".to_vec();
    long.resize(LONGEST_1 - 2, b'x');
    assert_eq!(parse(&long), Ok(Parsed::Incomplete));
    let mut fits = long.clone();
    fits.extend(b"\r\n");
    assert_eq!(client(&fits), None);
    long.extend(b"xx");
    assert!(parse(&long).is_err(), "no end within 107 bytes");
}

#[test]
fn s89_headers_that_are_wrong() {
    let unix: Vec<u8> = vec![b'/'; 216];
    for (why, header) in [
        ("version 1", header_2(0x11, TCP4, &v4_body(&[]))),
        ("command 2", header_2(0x22, TCP4, &v4_body(&[]))),
        ("no family", header_2(0x21, 0, &[])),
        ("no family with addresses", header_2(0x21, 0, &v4_body(&[]))),
        ("UDP", header_2(0x21, 0x12, &v4_body(&[]))),
        ("Unix", header_2(0x21, 0x31, &unix)),
        ("no transport", header_2(0x21, 0x10, &v4_body(&[]))),
        ("family 7", header_2(0x21, 0x71, &v4_body(&[]))),
        ("too short for IPv4", header_2(0x21, TCP4, &[0; 11])),
        ("too short for IPv6", header_2(0x21, TCP6, &[0; 35])),
        (
            "half a value's head",
            header_2(0x21, TCP4, &v4_body(&[4, 0])),
        ),
        (
            "a value beyond the end",
            header_2(0x21, TCP4, &v4_body(&[4, 0, 2, 0])),
        ),
        (
            "a value of 65,535",
            header_2(0x21, TCP4, &v4_body(&[4, 255, 255])),
        ),
        (
            "TLS without its head",
            header_2(0x21, TCP4, &v4_body(&tlv(TYPE_SSL, &[1, 0, 0, 0]))),
        ),
        (
            "a value within TLS beyond its end",
            header_2(
                0x21,
                TCP4,
                &v4_body(&tlv(TYPE_SSL, &[7, 0, 0, 0, 0, 0x22, 0, 9, b'a'])),
            ),
        ),
        (
            "TLS twice",
            header_2(
                0x21,
                TCP4,
                &v4_body(&[ssl_value(3, 0, &[b"a"]), ssl_value(3, 0, &[b"b"])].concat()),
            ),
        ),
        (
            "a bad name",
            header_2(0x21, TCP4, &v4_body(&ssl_value(3, 0, &[b"\xff"]))),
        ),
    ] {
        assert!(parse(&header).is_err(), "{why}");
    }
    // Refused from its head: nothing of its size is waited for.
    let mut head = SIGNATURE_2.to_vec();
    head.extend([0x21, TCP4, 2, 9]);
    assert!(parse(&head).is_err());
    *head.last_mut().unwrap() = 8;
    assert_eq!(parse(&head), Ok(Parsed::Incomplete));
}

#[test]
fn s89_a_name_counts_only_if_the_proxy_verified_it() {
    let names = |flags, verify, names: &[&[u8]]| {
        let values = [
            tlv(4, &[0; 9]),
            ssl_value(flags, verify, names),
            tlv(3, &[0; 4]),
        ]
        .concat();
        let client = client(&header_2(0x21, TCP4, &v4_body(&values))).unwrap();
        client
            .certificate
            .map(|certificate| certificate.common_names.clone())
    };
    let found = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(3, 0, &[b"meter"]), found(&["meter"]));
    assert_eq!(
        names(5, 0, &[b"meter"]),
        found(&["meter"]),
        "shown in a resumed session"
    );
    assert_eq!(names(3, 1, &[b"meter"]), None, "not verified");
    assert_eq!(names(1, 0, &[b"meter"]), None, "none shown");
    assert_eq!(names(2, 0, &[b"meter"]), None, "without TLS");
    // Nobody, and not somebody by default.
    assert_eq!(names(3, 0, &[b""]), found(&[""]));
    assert_eq!(names(3, 0, &[]), found(&[]));
    assert_eq!(names(3, 0, &[b"a", b"b"]), found(&["a", "b"]));
}
