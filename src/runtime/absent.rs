//! A runtime that is not there.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;

use super::{Instance, Kind, Runtime, RuntimeError, Site, Start};
use crate::gateway::manifest::ContainerLaunch;

/// Where no gateway can be started, for want of a Docker daemon or of what is to be installed. A run that has
/// other targets too goes on without this one.
#[derive(Debug)]
pub struct AbsentRuntime {
    kind: Kind,
    why: String,
}

impl AbsentRuntime {
    /// The runtime that was wanted, and why it is not there, with the last lines of what said so.
    #[must_use]
    pub fn new(kind: Kind, why: String) -> Self {
        Self { kind, why }
    }
}

#[async_trait]
impl Runtime for AbsentRuntime {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn upstream_bind(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    async fn site(&self, _container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError> {
        Err(RuntimeError::Absent { why: self.why.clone() })
    }

    async fn launch(&self, _site: Site, _start: Start) -> Result<Box<dyn Instance>, RuntimeError> {
        Err(RuntimeError::Absent { why: self.why.clone() })
    }
}
