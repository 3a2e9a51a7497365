-- What holds for the whole deployment, and what a binary must know to run on this schema.

-- The lowest schema version that a binary must know to run on this schema: one that knows less
-- does not serve and does not migrate. A migration that contracts raises it. One row.
create table schema_requirements (
    is_only boolean primary key default true,
    minimum_version bigint not null,
    constraint schema_requirements_only_check check (is_only)
);
insert into schema_requirements (minimum_version) values (0);

-- The deployment's settings. At most one row; without it every message is kept.
create table deployment_settings (
    is_only boolean primary key default true,
    -- Days after which messages expire; 0 keeps all.
    retention_days integer not null,
    -- Until when, by Postgres' clock, the janitor may remove more at once than its bound.
    removal_approved_until timestamptz,
    constraint deployment_settings_only_check check (is_only),
    constraint deployment_settings_retention_days_check check (retention_days between 0 and 36500)
);

-- As before, but for the configured days: they are a row now, not a setting of the connection. A
-- binary of the version before that still sets that setting is served the row too.
create or replace function kept_since(org bigint, at timestamptz) returns timestamptz
language sql stable parallel safe
begin atomic
    select case
        when o.legal_hold or d.days is null then timestamptz '-infinity'
        else $2 - make_interval(hours => 24 * d.days) end
    from organizations o
    cross join lateral (
        select least((select nullif(s.retention_days, 0) from deployment_settings s where s.is_only),
                     o.retention_days) as days
    ) d
    where o.id = $1;
end;
