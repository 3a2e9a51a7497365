//! Who was online when `@here` was said.

use domain::{MessageId, Seq, UserId};

use crate::{Result, Tx};

/// Records who was online when the event at `seq` said `@here` in a message. The first record
/// stays. A message that is gone has none.
pub async fn note_here(tx: &mut Tx, message: MessageId, seq: Seq, users: &[UserId]) -> Result<()> {
    sqlx::query!(
        "insert into here_said (message_id, seq, users)
         select id, $2, $3 from messages where id = $1
         on conflict do nothing",
        message.0,
        seq.0,
        users as &[UserId],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
