//! Work that is given up because recording it fails again and again.

use domain::{DeliveryId, MailId};

use crate::{Result, Tx};

/// Gives up a delivery to a webhook. It can be replayed.
pub async fn give_up_delivery(tx: &mut Tx, id: DeliveryId, error: &str) -> Result<()> {
    sqlx::query!(
        "update webhook_outbox
         set status = 'failed', next_attempt_at = null, hand_out_at = null, claimed_until = null,
             last_error = $2
         where id = $1 and next_attempt_at is not null",
        id.0,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives up a mail that cannot be handed over.
pub async fn give_up_mail(tx: &mut Tx, id: MailId, error: &str) -> Result<()> {
    sqlx::query!(
        "update mails set status = 'failed', next_attempt_at = null, secret = null,
                          attempts = attempts + 1, last_error = $2
         where id = $1 and status = 'due'",
        id.0,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
