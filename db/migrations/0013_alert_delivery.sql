-- Up Migration

-- A webhook that refuses alerts, as the alerter met it. It has no row while it takes them.
create table alert_delivery (
  -- A digest of the address, which is a secret.
  webhook text primary key,
  detail text not null,
  refused_since timestamptz not null default now(),
  refused_at timestamptz not null default now()
);
