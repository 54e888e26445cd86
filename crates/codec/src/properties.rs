//! Lists of properties that stay encoded and are walked in place.

/// User Properties, in order: encoded pairs (identifier 0x26 before each), checked once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UserProperties<'a> {
    /// All bytes from the first pair to the last; other properties may stand between.
    pub(crate) bytes: &'a [u8],
    /// How many pairs there are.
    pub(crate) count: u16,
}

/// Subscription Identifiers, in order: encoded (identifier 0x0B before each), checked once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriptionIds<'a> {
    /// All bytes from the first identifier to the last; other properties may stand between.
    pub(crate) bytes: &'a [u8],
    /// How many identifiers there are.
    pub(crate) count: u16,
}
