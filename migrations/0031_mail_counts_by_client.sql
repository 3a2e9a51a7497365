-- Mails are counted by the client that causes them too, and by its IPv6 site: the SHA-256 of the
-- prefix in base64. The new check allows more than the old one, so older versions go on. The table
-- holds days alone: validating it is short.
alter table mail_counts
    drop constraint mail_counts_scope_check,
    add constraint mail_counts_scope_check check (scope in
        ('account', 'organization', 'address', 'verification', 'client', 'site'));
