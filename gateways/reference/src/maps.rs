//! Maps of what every request looks up. Their hash is quicker than the standard one's, and like it
//! begins at random, so that nobody can choose names that collide.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// A map in no order.
pub(crate) type Map<K, V> = HashMap<K, V, RandomState>;

/// A set in no order.
pub(crate) type Set<T> = HashSet<T, RandomState>;

/// A map in the order in which its entries were added.
pub(crate) type Ordered<K, V> = IndexMap<K, V, RandomState>;
