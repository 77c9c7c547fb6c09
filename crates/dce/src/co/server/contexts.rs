//! The presentation contexts of a connection, and how they are negotiated.
//!
//! Read first: C706 section 9.3.3.1 (presentation negotiation) and MS-RPCE sections 3.3.1.5.3 and 3.3.3.3.1 (features of
//! a bind). For each context the first transfer syntax that is spoken is taken, in the client's order. Of several
//! contexts for one interface in one PDU only the first is accepted, as Windows has it.

use crate::co::server::config::Endpoint;
use crate::pdu::bind::{Bind, ContextResult, PresentationContext, Reason, ResultCode};
use crate::syntax::{Features, Syntax, SyntaxId};

/// A presentation context that was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) id: u16,
    /// As the client named it.
    pub(super) interface: SyntaxId,
    pub(super) syntax: Syntax,
    /// Where the interface is in [`Endpoint::interfaces`].
    pub(super) place: usize,
}

/// The PDU as a whole breaks a rule, in these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violated(pub(super) &'static str);

/// The presentation contexts of one connection.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    list: Vec<Context>,
    /// Features that both ends know of.
    features: Features,
}

impl Contexts {
    /// The context of that number.
    #[inline]
    pub(super) fn find(&self, id: u16) -> Option<&Context> {
        self.list.iter().find(|context| context.id == id)
    }

    /// The features that both ends know of.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Answers each context of a bind or an alter_context. Nothing is changed if the PDU breaks a rule.
    pub(super) fn negotiate(
        &mut self,
        endpoint: &Endpoint,
        bind: &Bind,
        first: bool,
    ) -> Result<Vec<ContextResult>, Violated> {
        self.check(bind, first)?;
        let mut results = Vec::new();
        let mut answered: Vec<SyntaxId> = Vec::new();
        for context in &bind.contexts {
            let asked = context.transfers.first().and_then(SyntaxId::as_features);
            let result = match asked {
                Some(features) => self.negotiate_features(features, first),
                None if answered.contains(&context.interface) => {
                    ContextResult::rejected(Reason::TRANSFER_SYNTAXES)
                }
                None => self.one(endpoint, context),
            };
            if asked.is_none() && result.result == ResultCode::ACCEPTANCE {
                answered.push(context.interface);
            }
            results.push(result);
        }
        Ok(results)
    }

    /// The rules that concern a PDU as a whole.
    // req: dce-rpce-context-rules
    fn check(&self, bind: &Bind, first: bool) -> Result<(), Violated> {
        if bind.contexts.is_empty() {
            return Err(Violated("no presentation context"));
        }
        let asks = |context: &PresentationContext| {
            context
                .transfers
                .first()
                .is_some_and(|id| id.as_features().is_some())
        };
        if first && bind.contexts.iter().filter(|context| asks(context)).count() > 1 {
            return Err(Violated("features are negotiated twice"));
        }
        bind.contexts
            .iter()
            .try_for_each(|context| self.check_one(context))
    }

    fn check_one(&self, context: &PresentationContext) -> Result<(), Violated> {
        if context.transfers.is_empty() {
            return Err(Violated("a presentation context without a transfer syntax"));
        }
        let Some(known) = self.find(context.context_id) else {
            return Ok(());
        };
        if known.interface != context.interface {
            return Err(Violated("a presentation context gets another interface"));
        }
        let mut spoken = context.transfers.iter().filter_map(SyntaxId::as_syntax);
        match spoken.all(|syntax| syntax == known.syntax) {
            true => Ok(()),
            false => Err(Violated(
                "a presentation context gets another transfer syntax",
            )),
        }
    }

    // req: dce-rpce-features
    fn negotiate_features(&mut self, asked: Features, first: bool) -> ContextResult {
        if first {
            self.features = asked.and(Features::ALL);
        }
        ContextResult {
            result: ResultCode::NEGOTIATE_ACK,
            reason: Reason(self.features.0),
            transfer: SyntaxId::NIL,
        }
    }

    // req: dce-706-9.3.3.1-transfer
    fn one(&mut self, endpoint: &Endpoint, asked: &PresentationContext) -> ContextResult {
        if let Some(known) = self.find(asked.context_id) {
            let same = SyntaxId::of(known.syntax);
            return match asked.transfers.contains(&same) {
                true => ContextResult::accepted(same),
                false => ContextResult::rejected(Reason::TRANSFER_SYNTAXES),
            };
        }
        let Some(served) = endpoint.interface(&asked.interface) else {
            return ContextResult::rejected(Reason::ABSTRACT_SYNTAX);
        };
        let spoken = |syntax: &Syntax| endpoint.config.ndr64 || *syntax != Syntax::Ndr64;
        let mut proposed = asked.transfers.iter().filter_map(SyntaxId::as_syntax);
        let Some(syntax) = proposed.find(spoken) else {
            return ContextResult::rejected(Reason::TRANSFER_SYNTAXES);
        };
        if self.list.len() >= endpoint.config.contexts {
            return ContextResult::rejected(Reason::LOCAL_LIMIT);
        }
        let place = endpoint
            .interfaces
            .iter()
            .position(|interface| interface == served);
        self.list.push(Context {
            id: asked.context_id,
            interface: asked.interface,
            syntax,
            place: place.unwrap_or(usize::MAX),
        });
        ContextResult::accepted(SyntaxId::of(syntax))
    }
}
