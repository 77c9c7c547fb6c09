//! What generated code of an operation with pipes stands on at the server.
//!
//! Read first: [`pipe`](crate::pipe), for what users see of it. What this file does not do: it does
//! not move bytes between a pipe and a connection, which the connection does.

use std::fmt;
use std::sync::Arc;

use farcall_dce::status;
use farcall_wire::ndr::{self, Inflow, Outflow};
use farcall_wire::{DecodeError, EncodeError};

use crate::call::{Call, Refuse};
use crate::operations::NdrReply;
use crate::pipe::{Intake, Outlet, Put, Reader, Take, Writer};

/// The pipes of a call that is served.
pub struct Pipes {
    intake: Arc<Intake>,
    outlet: Arc<Outlet>,
    /// How many there are, of arguments and of results.
    count: (usize, usize),
    most: usize,
}

impl Pipes {
    /// The pipes of `call`, of whose arguments `arguments` is the beginning.
    ///
    /// # Errors
    /// The call came in a way that has no pipes.
    pub fn new(call: &Call, arguments: &ndr::Reader<'_>) -> Result<Self, Refuse> {
        let invoked = call.invoked()?;
        let conduit = invoked.conduit.as_ref();
        let conduit = conduit.ok_or_else(|| Refuse::SystemErr("a call without pipes".into()))?;
        let operation = invoked.interface.operation(call.opnum());
        let count = operation.map_or((0, 0), |it| (it.in_pipes.into(), it.out_pipes.into()));
        let (syntax, order) = (invoked.syntax, invoked.to.order);
        let mut flow = Inflow::new(syntax, order, *arguments.limits());
        flow.push(arguments.rest());
        Ok(Self {
            intake: Arc::new(Intake::new(Arc::clone(conduit), flow)),
            outlet: Arc::new(Outlet::new(
                Arc::clone(conduit),
                Outflow::new(syntax, order),
            )),
            count,
            most: conduit.most(),
        })
    }

    /// The arguments beside the pipes, once they have come; the operation begins.
    ///
    /// # Errors
    /// What is wrong with them.
    pub async fn arguments<T>(
        &self,
        call: &Call,
        take: fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Refuse> {
        let arguments = self.intake.part(&[], self.most, take).await?;
        call.begins();
        Ok(arguments)
    }

    /// The pipe at this place among those of the arguments.
    pub fn reader<T>(&self, index: usize, take: Take<T>) -> Reader<T> {
        Reader::new(Arc::clone(&self.intake), index, take)
    }

    /// The pipe at this place among those of the results.
    pub fn writer<T>(&self, index: usize, put: Put<T>) -> Writer<T> {
        let before = (self.count.0 > 0).then(|| (Arc::clone(&self.intake), self.count.0));
        Writer::new(Arc::clone(&self.outlet), before, index, put)
    }

    /// Ends the pipes, and packs the results beside them.
    ///
    /// # Errors
    /// An argument's pipe was not read to its end; a result breaks a bound of the interface.
    pub fn reply(
        &self,
        reply: &mut NdrReply<'_>,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<(), Refuse> {
        if self.intake.ended() < self.count.0 {
            return Err(Refuse::Fault(status::PIPE_DISCIPLINE));
        }
        self.outlet.advance(self.count.1)?;
        let rest = self.outlet.part(encode)?;
        reply.put(&rest)
    }
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipes{:?}", self.count)
    }
}
