//! Remote procedure calls that speak the standards: ONC RPC clients and servers.
