//! Transactions that may lose to another one, and are then done again.

/// How often work that loses is tried.
pub(crate) const TRIES: usize = 5;

/// Does work in a transaction, commits it, and publishes what became true:
/// `transact!(api, |tx| { … })`, where the block is a `store::Result` and `tx` a `&mut Tx`. The
/// whole is a `Result` with a `Problem`: what the work refuses with, or `Unavailable`.
///
/// Work that stood in another transaction's way is done again from its start, so it must do
/// nothing but what the transaction undoes.
///
/// A macro, since the compiler cannot yet see that the future of a function over an async closure
/// is `Send` ("implementation of `Send` is not general enough").
macro_rules! transact {
    ($api:expr, |$tx:ident| $work:expr) => {{
        let api: &$crate::Api = &$api;
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = async {
                let mut transaction = api.store().begin().await?;
                let $tx = &mut transaction;
                let outcome: store::Result<_> = async { $work }.await;
                let value = outcome?;
                api.try_commit(transaction).await?;
                store::Result::Ok(value)
            };
            match attempt.await {
                Err(store::Error::Contended(_)) if tries < $crate::transact::TRIES => {}
                other => break other.map_err($crate::problem::Problem::from),
            }
        }
    }};
}

pub(crate) use transact;
