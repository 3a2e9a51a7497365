-- When an operator disabled an account; null: it may sign in.
alter table users add column disabled_at timestamptz;
