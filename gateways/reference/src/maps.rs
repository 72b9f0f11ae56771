//! Maps of what every request looks up, by names that the operator chose. Their hash is quicker than
//! the standard one's, and not meant to withstand whoever looks for names that collide: what callers
//! name stands in a standard map.

use std::collections::{HashMap, HashSet};

pub(crate) use foldhash::fast::RandomState as Quick;
use indexmap::IndexMap;

/// A map in no order.
pub(crate) type Map<K, V> = HashMap<K, V, Quick>;

/// A set in no order.
pub(crate) type Set<T> = HashSet<T, Quick>;

/// A map in the order in which its entries were added.
pub(crate) type Ordered<K, V> = IndexMap<K, V, Quick>;
