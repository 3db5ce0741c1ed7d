-- Up Migration

-- The webhook that takes no alerts now, as the alerter met it. There is no row while it takes them.
create table alert_delivery (
  -- A digest of its address, which is a secret.
  webhook text primary key,
  detail text not null,
  refused_since timestamptz not null default now(),
  refused_at timestamptz not null default now()
);
