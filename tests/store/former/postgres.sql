
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION public.forget_login_failures() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM login_failures WHERE account_id = OLD.account_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.json_each(list text) RETURNS TABLE(value json)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT json_array_elements(CAST(list AS json)) $$;

CREATE FUNCTION public.json_with_pair(pairs text, name text, value bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN pairs = '{}' THEN '{' ELSE left(pairs, -1) || ',' END || CAST(to_json(name) AS text) || ':' || value || '}' $$;

CREATE FUNCTION public.json_with_text(sofar text, key text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CAST(CAST(sofar AS jsonb) || jsonb_build_object(key, value) AS text) $$;

CREATE FUNCTION public.refuse_case() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36'
        USING ERRCODE = 'check_violation';
END
$$;

CREATE AGGREGATE public.json_group_object(text, bigint) (
    SFUNC = public.json_with_pair,
    STYPE = text,
    INITCOND = '{}'
);

CREATE AGGREGATE public.json_group_object(text, text) (
    SFUNC = public.json_with_text,
    STYPE = text,
    INITCOND = '{}'
);

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);

CREATE TABLE public.accounts (
    account_id text NOT NULL COLLATE pg_catalog."C",
    namespace text NOT NULL COLLATE pg_catalog."C",
    owner_name text COLLATE pg_catalog."C",
    owner_uid text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    owner_generation bigint DEFAULT 0 NOT NULL,
    revision bigint NOT NULL,
    transaction_id text NOT NULL COLLATE pg_catalog."C",
    login_name text NOT NULL COLLATE pg_catalog."C",
    email text COLLATE pg_catalog."C",
    email_domain text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    group_name text NOT NULL COLLATE pg_catalog."C",
    grants text NOT NULL COLLATE pg_catalog."C",
    role text COLLATE pg_catalog."C",
    teams text NOT NULL COLLATE pg_catalog."C",
    display_name text NOT NULL COLLATE pg_catalog."C",
    phone text COLLATE pg_catalog."C",
    address text COLLATE pg_catalog."C",
    time_zone text COLLATE pg_catalog."C",
    notifications text NOT NULL COLLATE pg_catalog."C",
    password_hash text COLLATE pg_catalog."C",
    secret_hash text COLLATE pg_catalog."C",
    secret_version text COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    source_mode text COLLATE pg_catalog."C",
    source_name text COLLATE pg_catalog."C",
    source_permissions text COLLATE pg_catalog."C",
    cloned_uid text COLLATE pg_catalog."C",
    cloned_generation bigint,
    cloned_at bigint,
    copied text COLLATE pg_catalog."C",
    member text DEFAULT '{}'::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT accounts_source_mode_check CHECK ((source_mode = ANY (ARRAY['Inherit'::text, 'Clone'::text]))),
    CONSTRAINT accounts_state_check CHECK ((state = ANY (ARRAY['Enabled'::text, 'Disabled'::text])))
);

CREATE TABLE public.billing (
    "row" bigint NOT NULL,
    time_zone text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT billing_row_check CHECK (("row" = 1))
);

CREATE TABLE public.billing_corrections (
    number bigint NOT NULL,
    corrected_at bigint NOT NULL,
    what text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    was bigint NOT NULL
);

ALTER TABLE public.billing_corrections ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.billing_corrections_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.cases (
    case_id text DEFAULT replace((gen_random_uuid())::text, '-'::text, ''::text) NOT NULL COLLATE pg_catalog."C",
    organization text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    owner_account_id text COLLATE pg_catalog."C"
);

CREATE TABLE public.closed_months (
    month text NOT NULL COLLATE pg_catalog."C",
    time_zone text NOT NULL COLLATE pg_catalog."C",
    starts_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    utc_offsets text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT closed_months_check CHECK ((ends_at > starts_at))
);

CREATE TABLE public.confirmations (
    account_id text NOT NULL COLLATE pg_catalog."C",
    directory text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    fingerprint text COLLATE pg_catalog."C",
    handle text COLLATE pg_catalog."C"
);

CREATE TABLE public.directories (
    name text NOT NULL COLLATE pg_catalog."C",
    in_use boolean DEFAULT true NOT NULL
);

CREATE TABLE public.domains (
    namespace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    domain text NOT NULL COLLATE pg_catalog."C",
    include_subdomains boolean NOT NULL
);

CREATE TABLE public.groups (
    namespace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    full_control boolean NOT NULL,
    permissions text NOT NULL COLLATE pg_catalog."C",
    self_service text DEFAULT '[]'::text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.leadership (
    "row" bigint NOT NULL,
    cluster text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    CONSTRAINT leadership_row_check CHECK (("row" = 1))
);

CREATE TABLE public.lifetimes (
    account_id text NOT NULL COLLATE pg_catalog."C",
    namespace text NOT NULL COLLATE pg_catalog."C",
    login_name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    deleted_at bigint,
    owner_name text COLLATE pg_catalog."C",
    owner_uid text COLLATE pg_catalog."C",
    owner_generation bigint DEFAULT 0 NOT NULL,
    state_at_creation text DEFAULT 'Enabled'::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT lifetimes_check CHECK ((deleted_at >= created_at)),
    CONSTRAINT lifetimes_state_at_creation_check CHECK ((state_at_creation = ANY (ARRAY['Enabled'::text, 'Disabled'::text])))
);

CREATE TABLE public.locks (
    name text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.login_failures (
    account_id text NOT NULL COLLATE pg_catalog."C",
    failures bigint NOT NULL,
    turned_away bigint NOT NULL,
    since bigint NOT NULL,
    last bigint NOT NULL,
    blocked_until bigint
);

CREATE TABLE public.member_changes (
    number bigint NOT NULL,
    account_id text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.operators (
    namespaces text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    token text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    claimed_at bigint NOT NULL,
    commits bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.organizations (
    namespace text NOT NULL COLLATE pg_catalog."C",
    customer_id text NOT NULL COLLATE pg_catalog."C"
);

CREATE VIEW public.roster_accounts AS
 SELECT a.account_id,
    a.namespace AS organization,
    a.login_name,
    a.email,
    a.state,
    a.group_name,
    a.display_name,
    a.phone,
    a.password_hash,
    ( WITH RECURSIVE line(length, grants, fixed, next) AS (
                 SELECT 0 AS "?column?",
                    a.grants,
                    a.source_permissions,
                        CASE
                            WHEN (a.source_permissions IS NULL) THEN a.source_name
                            ELSE NULL::text
                        END AS "case"
                UNION ALL
                 SELECT (l.length + 1),
                    s.grants,
                    s.source_permissions,
                        CASE
                            WHEN (s.source_permissions IS NULL) THEN s.source_name
                            ELSE NULL::text
                        END AS "case"
                   FROM (line l
                     JOIN public.accounts s ON (((s.namespace = a.namespace) AND (s.owner_name = l.next))))
                  WHERE (l.length <= 32)
                )
         SELECT (array_to_json(COALESCE(array_agg(effective.permission ORDER BY (effective.permission COLLATE "C")), '{}'::text[])))::text AS array_to_json
           FROM ( SELECT own.value AS permission
                   FROM line l,
                    LATERAL ( SELECT json_array_elements_text((l.grants)::json) AS value
                        UNION ALL
                         SELECT json_array_elements_text((l.fixed)::json) AS json_array_elements_text) own
                  WHERE ((l.length = 0) OR (( SELECT max(line.length) AS max
                           FROM line) <= 32))
                UNION
                 SELECT given.value
                   FROM public.groups g,
                    LATERAL json_array_elements_text((g.permissions)::json) given(value)
                  WHERE ((g.namespace = a.namespace) AND (g.name = a.group_name))
                UNION
                 SELECT '*'::text
                   FROM public.groups g
                  WHERE ((g.namespace = a.namespace) AND (g.name = a.group_name) AND g.full_control)
                UNION
                 SELECT '*'::text
                  WHERE ((a.group_name = 'administrators'::text) AND (NOT (EXISTS ( SELECT 1
                           FROM public.groups g
                          WHERE ((g.namespace = a.namespace) AND (g.name = a.group_name))))))) effective) AS permissions
   FROM public.accounts a;

CREATE VIEW public.roster_login_failures AS
 SELECT login_failures.account_id,
    login_failures.failures,
    login_failures.since,
    login_failures.blocked_until
   FROM public.login_failures
  WHERE (login_failures.account_id <> ''::text);

CREATE TABLE public.switches (
    account_id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    switched_at bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT switches_state_check CHECK ((state = ANY (ARRAY['Enabled'::text, 'Disabled'::text])))
);

CREATE TABLE public.transactions (
    transaction_id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    started_at bigint NOT NULL,
    deadline_at bigint NOT NULL,
    completed_at bigint,
    cases_unassigned bigint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    superseded_at bigint
);

INSERT INTO public._sqlx_migrations VALUES (5, 'everything', '2026-12-01 00:18:52.333045+00', true, '\xf66471228bd9ba8eb3f8daa244bd198e06a1a3bb591b3980b42671d98134f25ba9ea647ec25fa7fb5bd1c43bc66b6da8', 84844250);
INSERT INTO public._sqlx_migrations VALUES (6, 'operators', '2026-12-01 00:18:52.333045+00', true, '\xe1e9e93f122aed45b8f8b3fecd74e474e4aa74190d7b76e8d6019cde77db4fe6e4405a6cfae0fc398cb333ad6cbd5e0c', 5654079);
INSERT INTO public._sqlx_migrations VALUES (7, 'fingerprints', '2026-12-01 00:18:52.333045+00', true, '\x890ebd4a4964fdf34d2c9e16dd7b938fed2a98c29d2434d8e175bd5bc5f4a01dabe3c320e0b82f6a70f75fce31532fcf', 2244063);
INSERT INTO public._sqlx_migrations VALUES (8, 'bounds', '2026-12-01 00:18:52.333045+00', true, '\x6b5b6fd0f1a73fda4a3900e02f3fbf5d7d6ea28ef228de6db7b9a44552b9bafa0a294dc67168132d65da3a297f3564be', 8636573);
INSERT INTO public._sqlx_migrations VALUES (9, 'corrections', '2026-12-01 00:18:52.333045+00', true, '\xfed3d4b9d6cba6234e91dc6e6bf6f8268a3859096b975bbb6dbea6e9d4f8eb39796d676565492bee6fd494069ef5acbd', 11375139);
INSERT INTO public._sqlx_migrations VALUES (10, 'handles', '2026-12-01 00:18:52.333045+00', true, '\xde2caa0fbbbc63f6d23fa45b22580fa624244be99f8b38904f84b12814bafce07fe1489527125e2ffd1957be6f206c76', 699040);
INSERT INTO public._sqlx_migrations VALUES (11, 'login failures', '2026-12-01 00:18:52.333045+00', true, '\x99ac902194e581e0398373344e41c27711a5aa593fefd00755d0b31ac33a7f06e0e6ed852a800fbb24bdfc0c290beeb8', 4522980);

INSERT INTO public.accounts VALUES ('01a22ef7-fb96-700b-8c57-7e053eb6f65e', 'beta', 'bob', '9fc1259a-d304-46f1-b4b5-eb0dc7b9f312', 1, 1, 'a6239477-f253-5d28-9ce1-58d6f3bc8483', 'bob.beta', 'bob@beta.example', 'beta.example', 'Enabled', 'users', '["orders:read"]', 'Accountant', '["back-office","month-end"]', 'Bob "O''Neil" \ Jörg 日本 🙂', '+1 602 555 0100', '{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"}', 'America/Phoenix', '["CaseAssigned","OrderDelayed","a, \"b\""]', NULL, NULL, NULL, 1767084333462586, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}');
INSERT INTO public.accounts VALUES ('01a22ef7-fb96-7acc-a9f1-86235e62164e', 'beta', 'erin', 'aa795a30-b638-4a83-b74e-6aa8a948228d', 1, 1, 'ece57c58-728e-5c40-acbb-efb152b3da56', 'erin.beta', 'erin@beta.example', 'beta.example', 'Disabled', 'users', '[]', NULL, '[]', 'true', 'null', NULL, 'Europe/Berlin', '[]', NULL, NULL, NULL, 1767084333462586, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}');
INSERT INTO public.accounts VALUES ('01a22ef7-fc2e-7fd6-a08c-a95727e9b5dc', 'beta', 'carol', '07f37401-3e58-4c51-96ec-a5ac61fdbc13', 1, 1, '2249a090-8ca2-597c-8aa0-28da58fa083c', 'carol.beta', 'carol@beta.example', 'beta.example', 'Enabled', 'users', '[]', 'Accountant', '["back-office","month-end"]', 'Bob "O''Neil" \ Jörg 日本 🙂', '+1 602 555 0100', '{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"}', 'America/Phoenix', '["CaseAssigned","OrderDelayed","a, \"b\""]', NULL, NULL, NULL, 1767084333614072, 'Inherit', 'bob', NULL, NULL, NULL, NULL, '{"from":"bob","uid":"9fc1259a-d304-46f1-b4b5-eb0dc7b9f312","generation":1,"role":"Accountant","teams":["back-office","month-end"],"profile":{"displayName":"Bob \"O''Neil\" \\ Jörg 日本 🙂","phone":"+1 602 555 0100","address":{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"},"timeZone":"America/Phoenix","notifications":["CaseAssigned","OrderDelayed","a, \"b\""]}}', '{}');
INSERT INTO public.accounts VALUES ('01a22ef7-fc9a-7818-9bad-c13639e737b5', 'beta', 'dave', 'bedfd886-573b-4c29-af2c-6fa3bae92500', 1, 2, '051ff88f-95e7-59ed-844b-92821e6ad5c7', 'dave.beta', 'dave@beta.example', 'beta.example', 'Enabled', 'mechanics', '[]', NULL, '[]', 'Dave D.', '+49 30 123', '{"street":["2 Oak"],"locality":"Tempe"}', 'Europe/Berlin', '[]', '$argon2id$v=19$m=19456,t=2,p=1$j1+e7ydpIM1mpWdeGqrbBA$zcuWvvYlami02CYHvjC+RklAJOk7k2r/AVJvMZnbxi8', '$argon2id$v=19$m=19456,t=2,p=1$j1+e7ydpIM1mpWdeGqrbBA$zcuWvvYlami02CYHvjC+RklAJOk7k2r/AVJvMZnbxi8', '6a543cf4-ccdb-4102-8570-65859a8621aa/280/password/', 1767084333722980, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"displayName":{"value":"Dave D.","over":"Dave"},"phone":{"value":"+49 30 123","over":"1"},"address":{"value":{"street":["2 Oak"],"locality":"Tempe"},"over":{"locality":"Tempe"}},"timeZone":{"value":"Europe/Berlin","over":null},"notifications":{"value":[],"over":["CaseClosed"]}}');
INSERT INTO public.accounts VALUES ('01a22ef7-fb96-7885-b28f-e6256fb27de1', 'beta', 'alice', '5a271c6c-33da-4225-a2c9-8a0f626f1048', 2, 2, '25e546ce-cbcb-535c-8c32-428cfb86f9b2', 'alice.beta', 'alice@beta.example', 'beta.example', 'Enabled', 'administrators', '[]', NULL, '[]', 'Alice', '+1 2', NULL, NULL, '[]', NULL, NULL, NULL, 1767084333462586, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}');

INSERT INTO public.billing VALUES (1, 'UTC');

INSERT INTO public.confirmations VALUES ('01a22ef7-fb96-700b-8c57-7e053eb6f65e', 'rehearsal:///directory', 1, '529e93a8f295bd7b7bfc0485429a25f1.316f5ccba3fdf56ba3f2d232eddf8c72', '01a22ef7-fb96-700b-8c57-7e053eb6f65e.json');
INSERT INTO public.confirmations VALUES ('01a22ef7-fb96-7acc-a9f1-86235e62164e', 'rehearsal:///directory', 1, 'b5149cca751c03539b67b8fd61fea25f.2b428a88f3956a668cb1cd553ddf19e7', '01a22ef7-fb96-7acc-a9f1-86235e62164e.json');
INSERT INTO public.confirmations VALUES ('01a22ef7-fc2e-7fd6-a08c-a95727e9b5dc', 'rehearsal:///directory', 1, '9e23a8fe493c33e329a60fa3283b7c0c.316f5ccba3fdf56ba3f2d232eddf8c72', '01a22ef7-fc2e-7fd6-a08c-a95727e9b5dc.json');
INSERT INTO public.confirmations VALUES ('01a22ef7-fb96-7885-b28f-e6256fb27de1', 'rehearsal:///directory', 2, '41f3cd461abe7da8633318d1137f987b.b9c6de3c7d9adabe6a0e19948c0c212b', '01a22ef7-fb96-7885-b28f-e6256fb27de1.json');
INSERT INTO public.confirmations VALUES ('01a22ef7-fc9a-7818-9bad-c13639e737b5', 'rehearsal:///directory', 2, '9711cbeff4675800909de74d566ba6a9.cdd55cbf142d43635fb4fb93b9d0180a/b1017b64087c39f7a9cdb5a807c726ac', '01a22ef7-fc9a-7818-9bad-c13639e737b5.json');

INSERT INTO public.directories VALUES ('rehearsal:///directory', true);

INSERT INTO public.domains VALUES ('beta', 'beta.example', 'beta.example', false);

INSERT INTO public.groups VALUES ('beta', 'mechanics', false, '["trucks:read"]', '["Name","Address","Phone","TimeZone","Notifications"]');
INSERT INTO public.groups VALUES ('beta', 'administrators', true, '[]', '[]');
INSERT INTO public.groups VALUES ('beta', 'users', false, '[]', '[]');

INSERT INTO public.leadership VALUES (1, '08a68b6b-d40e-4fa8-8ce4-07409c137aeb', 1);

INSERT INTO public.lifetimes VALUES ('01a22ef7-fb96-7885-b28f-e6256fb27de1', 'beta', 'alice.beta', 1767084333462586, NULL, NULL, NULL, 0, 'Enabled');
INSERT INTO public.lifetimes VALUES ('01a22ef7-fb96-700b-8c57-7e053eb6f65e', 'beta', 'bob.beta', 1767084333462586, NULL, NULL, NULL, 0, 'Enabled');
INSERT INTO public.lifetimes VALUES ('01a22ef7-fb96-7acc-a9f1-86235e62164e', 'beta', 'erin.beta', 1767084333462586, NULL, NULL, NULL, 0, 'Disabled');
INSERT INTO public.lifetimes VALUES ('01a22ef7-fc2e-7fd6-a08c-a95727e9b5dc', 'beta', 'carol.beta', 1767084333614072, NULL, NULL, NULL, 0, 'Enabled');
INSERT INTO public.lifetimes VALUES ('01a22ef7-fc9a-7818-9bad-c13639e737b5', 'beta', 'dave.beta', 1767084333722980, NULL, NULL, NULL, 0, 'Enabled');

INSERT INTO public.locks VALUES ('organization beta');
INSERT INTO public.locks VALUES ('member changes');

INSERT INTO public.member_changes VALUES (1, '01a22ef7-fc9a-7818-9bad-c13639e737b5');

INSERT INTO public.organizations VALUES ('beta', 'beta');

INSERT INTO public.transactions VALUES ('a6239477-f253-5d28-9ce1-58d6f3bc8483', '01a22ef7-fb96-700b-8c57-7e053eb6f65e', 'Create', 1767084333462586, 1767085533462586, 1767084333649757, 0, 1, NULL);
INSERT INTO public.transactions VALUES ('25e546ce-cbcb-535c-8c32-428cfb86f9b2', '01a22ef7-fb96-7885-b28f-e6256fb27de1', 'Create', 1767084333462586, 1767085533462586, 1767084333649757, 0, 1, NULL);
INSERT INTO public.transactions VALUES ('ece57c58-728e-5c40-acbb-efb152b3da56', '01a22ef7-fb96-7acc-a9f1-86235e62164e', 'Create', 1767084333462586, 1767085533462586, 1767084333649757, 0, 1, NULL);
INSERT INTO public.transactions VALUES ('2249a090-8ca2-597c-8aa0-28da58fa083c', '01a22ef7-fc2e-7fd6-a08c-a95727e9b5dc', 'Create', 1767084333614072, 1767085533614072, 1767084333685443, 0, 1, NULL);
INSERT INTO public.transactions VALUES ('051ff88f-95e7-59ed-844b-92821e6ad5c7', '01a22ef7-fc9a-7818-9bad-c13639e737b5', 'Create', 1767084333722980, 1767085533722980, 1767084333744442, 0, 1, NULL);

SELECT pg_catalog.setval('public.billing_corrections_number_seq', 1, false);

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_login_name_key UNIQUE (login_name);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_namespace_email_key UNIQUE (namespace, email);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_namespace_owner_name_key UNIQUE (namespace, owner_name);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.billing_corrections
    ADD CONSTRAINT billing_corrections_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.billing
    ADD CONSTRAINT billing_pkey PRIMARY KEY ("row");

ALTER TABLE ONLY public.cases
    ADD CONSTRAINT cases_pkey PRIMARY KEY (case_id);

ALTER TABLE ONLY public.closed_months
    ADD CONSTRAINT closed_months_ends_at_key UNIQUE (ends_at);

ALTER TABLE ONLY public.closed_months
    ADD CONSTRAINT closed_months_pkey PRIMARY KEY (month);

ALTER TABLE ONLY public.confirmations
    ADD CONSTRAINT confirmations_pkey PRIMARY KEY (account_id, directory);

ALTER TABLE ONLY public.directories
    ADD CONSTRAINT directories_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_namespace_domain_key UNIQUE (namespace, domain);

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (namespace, name);

ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (namespace, name);

ALTER TABLE ONLY public.leadership
    ADD CONSTRAINT leadership_pkey PRIMARY KEY ("row");

ALTER TABLE ONLY public.lifetimes
    ADD CONSTRAINT lifetimes_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.locks
    ADD CONSTRAINT locks_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.login_failures
    ADD CONSTRAINT login_failures_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.member_changes
    ADD CONSTRAINT member_changes_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.operators
    ADD CONSTRAINT operators_epoch_key UNIQUE (epoch);

ALTER TABLE ONLY public.operators
    ADD CONSTRAINT operators_pkey PRIMARY KEY (namespaces);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_customer_id_key UNIQUE (customer_id);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (namespace);

ALTER TABLE ONLY public.switches
    ADD CONSTRAINT switches_pkey PRIMARY KEY (account_id, revision);

ALTER TABLE ONLY public.transactions
    ADD CONSTRAINT transactions_pkey PRIMARY KEY (transaction_id);

CREATE INDEX accounts_by_email_domain ON public.accounts USING btree (namespace, email_domain);

CREATE INDEX accounts_by_group ON public.accounts USING btree (namespace, group_name);

CREATE INDEX accounts_by_source ON public.accounts USING btree (namespace, source_name);

CREATE INDEX cases_by_owner ON public.cases USING btree (owner_account_id);

CREATE INDEX lifetimes_by_end ON public.lifetimes USING btree (namespace, deleted_at, created_at, login_name, account_id, state_at_creation);

CREATE INDEX lifetimes_by_login ON public.lifetimes USING btree (login_name);

CREATE INDEX lifetimes_by_owner ON public.lifetimes USING btree (namespace, owner_name, owner_uid) WHERE (owner_name IS NOT NULL);

CREATE INDEX transactions_by_account ON public.transactions USING btree (account_id);

CREATE INDEX transactions_in_flight ON public.transactions USING btree (account_id) WHERE ((completed_at IS NULL) AND (superseded_at IS NULL));

CREATE TRIGGER accounts_deleted AFTER DELETE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.forget_login_failures();

CREATE TRIGGER accounts_enabled AFTER UPDATE OF state ON public.accounts FOR EACH ROW WHEN (((new.state = 'Enabled'::text) AND (old.state <> 'Enabled'::text))) EXECUTE FUNCTION public.forget_login_failures();

CREATE TRIGGER accounts_password_changed AFTER UPDATE OF password_hash ON public.accounts FOR EACH ROW WHEN ((new.password_hash IS DISTINCT FROM old.password_hash)) EXECUTE FUNCTION public.forget_login_failures();

CREATE TRIGGER cases_inserted BEFORE INSERT ON public.cases FOR EACH ROW WHEN (((char_length(new.case_id) > 256) OR (char_length(new.organization) > 63) OR (char_length(new.title) > 1000) OR (char_length(new.owner_account_id) > 36))) EXECUTE FUNCTION public.refuse_case();

CREATE TRIGGER cases_updated BEFORE UPDATE OF case_id, organization, title, owner_account_id ON public.cases FOR EACH ROW WHEN ((((new.case_id <> old.case_id) AND (char_length(new.case_id) > 256)) OR ((new.organization <> old.organization) AND (char_length(new.organization) > 63)) OR ((new.title <> old.title) AND (char_length(new.title) > 1000)) OR ((new.owner_account_id IS DISTINCT FROM old.owner_account_id) AND (char_length(new.owner_account_id) > 36)))) EXECUTE FUNCTION public.refuse_case();

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.lifetimes(account_id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.transactions(transaction_id);

ALTER TABLE ONLY public.cases
    ADD CONSTRAINT cases_owner_account_id_fkey FOREIGN KEY (owner_account_id) REFERENCES public.accounts(account_id) ON DELETE SET NULL;

ALTER TABLE ONLY public.confirmations
    ADD CONSTRAINT confirmations_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.lifetimes(account_id);

ALTER TABLE ONLY public.confirmations
    ADD CONSTRAINT confirmations_directory_fkey FOREIGN KEY (directory) REFERENCES public.directories(name) ON DELETE CASCADE;

ALTER TABLE ONLY public.member_changes
    ADD CONSTRAINT member_changes_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.lifetimes(account_id);

ALTER TABLE ONLY public.switches
    ADD CONSTRAINT switches_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.lifetimes(account_id);

ALTER TABLE ONLY public.transactions
    ADD CONSTRAINT transactions_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.lifetimes(account_id);

