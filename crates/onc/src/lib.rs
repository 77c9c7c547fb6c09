//! Sans-io ONC RPC: messages, records, authentication flavours, client, server, duplicate request cache.
