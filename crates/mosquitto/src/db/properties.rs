//! Properties of MQTT 5.0 in a chunk: those that a server passes on, and the identifiers of
//! subscriptions.

use super::body::{Body, Short};

/// The properties of a message that a server passes on (MQTT-3.3.2-4, -15 to -20), in their order
/// and without their length. Those that are between a client and its server are left out.
pub(super) fn passed_on(block: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut kept = Vec::new();
    each(block, |property, bytes| {
        if matches!(property, FORMAT | TYPE | RESPONSE | CORRELATION | USER) {
            kept.extend_from_slice(bytes);
        }
        Ok(())
    })?;
    Ok(kept)
}

/// The identifiers of subscriptions.
pub(super) fn identifiers(block: &[u8]) -> Result<Vec<u32>, &'static str> {
    let mut found = Vec::new();
    each(block, |property, bytes| {
        if property == SUBSCRIPTION {
            let mut rest = Body(bytes);
            rest.byte()?;
            found.push(varint(&mut rest)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Gives each property of a block that begins with its length. No block at all has none.
fn each(
    block: &[u8],
    mut give: impl FnMut(u8, &[u8]) -> Result<(), Short>,
) -> Result<(), &'static str> {
    if block.is_empty() {
        return Ok(());
    }
    let mut body = Body(block);
    let mut walk = || -> Result<bool, Short> {
        let length = varint(&mut body)?;
        let mut rest = Body(body.take(usize::try_from(length).map_err(|_| Short)?)?);
        while !rest.0.is_empty() {
            let before = rest.0;
            let property = rest.byte()?;
            if !skip(property, &mut rest)? {
                return Ok(false);
            }
            let length = before.len().saturating_sub(rest.0.len());
            give(property, before.get(..length).unwrap_or_default())?;
        }
        Ok(true)
    };
    match walk() {
        Ok(true) => Ok(()),
        Ok(false) | Err(Short) => Err("properties that make no sense"),
    }
}

/// Passes over a value; false if there is no such property, or its value is not allowed.
fn skip(property: u8, rest: &mut Body<'_>) -> Result<bool, Short> {
    Ok(match property {
        FORMAT => rest.byte()? <= 1,
        EXPIRY => rest.long().map(|_| true)?,
        TYPE | RESPONSE => is_text(rest)?,
        CORRELATION => {
            let length = rest.short()?;
            rest.take(usize::from(length)).map(|_| true)?
        }
        SUBSCRIPTION => varint(rest)? > 0,
        ALIAS => rest.short().map(|_| true)?,
        USER => is_text(rest)? && is_text(rest)?,
        _ => false,
    })
}

fn is_text(rest: &mut Body<'_>) -> Result<bool, Short> {
    let length = rest.short()?;
    let text = std::str::from_utf8(rest.take(usize::from(length))?);
    // MQTT-1.5.4-2.
    Ok(text.is_ok_and(|text| !text.contains('\0')))
}

fn varint(rest: &mut Body<'_>) -> Result<u32, Short> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = rest.byte()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Short)
}

const FORMAT: u8 = 0x01;
const EXPIRY: u8 = 0x02;
const TYPE: u8 = 0x03;
const RESPONSE: u8 = 0x08;
const CORRELATION: u8 = 0x09;
const SUBSCRIPTION: u8 = 0x0b;
const ALIAS: u8 = 0x23;
const USER: u8 = 0x26;
