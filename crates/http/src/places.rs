//! How much one address may have at a time: connections, or requests that wait for their answers.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
};

use parking_lot::Mutex;

/// So many places for each address that is not this machine's own. Clones share them.
///
/// What an address is goes by what one customer of a provider has: see `network`.
#[derive(Clone, Debug)]
pub struct Places {
    most: NonZeroU32,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place(Option<(Places, IpAddr)>);

impl Places {
    /// `most` places for each address.
    pub fn new(most: NonZeroU32) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a place; there is none if `address` has all that it may have. On this machine itself
    /// there are as many as anyone likes: a proxy there speaks for many.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        if address.is_loopback() {
            return Some(Place(None));
        }
        let mut taken = self.taken.lock();
        let count = taken.entry(address).or_default();
        if *count == self.most.get() {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), address))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, address)) = self.0.take() else {
            return;
        };
        let mut taken = places.taken.lock();
        if let Some(count) = taken.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&address);
            }
        }
    }
}

/// What one customer of a provider has: an IPv4 address or an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: u32) -> Places {
        Places::new(NonZeroU32::new(most).unwrap())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_others_have_their_own() {
        let places = places(2);
        let first = places.take(address("192.0.2.1")).unwrap();
        let second = places.take(address("::ffff:192.0.2.1")).unwrap();
        assert!(places.take(address("192.0.2.1")).is_none());
        assert!(places.take(address("192.0.2.2")).is_some());
        drop(first);
        let again = places.take(address("192.0.2.1"));
        assert!(again.is_some() && places.take(address("192.0.2.1")).is_none());
        drop((second, again));
        assert!(places.taken.lock().is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let places = places(1);
        let _taken = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::2:1")).is_none());
        assert!(places.take(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn this_machine_has_as_many_as_it_likes() {
        let places = places(1);
        for own in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            let many: Vec<_> = (0..5).map(|_| places.take(address(own))).collect();
            assert!(many.iter().all(Option::is_some), "{own}");
        }
        assert!(places.taken.lock().is_empty());
    }
}
