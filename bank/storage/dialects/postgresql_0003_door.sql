-- The door on PostgreSQL, set by set: the same call and the same answers as postgresql_0001_door.sql, whose ledger_refusal
-- stays. Entries that are plain (no hold, no reversal) and allowed are booked together by one statement; whatever stands in
-- the way of that goes through by itself, in its place among them. The inner functions have their settings from ledger_post.

CREATE OR REPLACE FUNCTION ledger_apply(entry_id bigint, item jsonb, held_change bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    today date := item->>'booking_date';
    has_limits boolean := item->>'limit_per_payment' IS NOT NULL;
BEGIN
    IF item->>'hold_op' = 'reserve' THEN
        INSERT INTO holds (id, account_id, minor_units, remaining, expires_at)
        VALUES (entry_id, (item->>'hold_account')::bigint, held_change, held_change, (item->>'hold_expires_at')::timestamp AT TIME ZONE 'UTC');
    ELSIF item->>'hold_op' IS NOT NULL THEN
        UPDATE holds SET remaining = remaining + held_change WHERE id = (item->>'hold_id')::bigint;
    END IF;
    IF item->>'hold_op' IS NOT NULL THEN
        UPDATE ledger_accounts SET held = held + held_change WHERE id = (item->>'hold_account')::bigint;
    END IF;

    WITH moved AS (
        UPDATE ledger_accounts a
           SET balance = a.balance + CASE WHEN p.side = a.normal_side THEN p.minor ELSE -p.minor END,
               version = a.version + 1,
               spent = CASE WHEN NOT (has_limits AND a.floor IS NOT NULL AND p.side <> a.normal_side) THEN a.spent
                            WHEN a.spent_day >= today THEN a.spent + p.minor ELSE p.minor END,
               spent_day = CASE WHEN NOT (has_limits AND a.floor IS NOT NULL AND p.side <> a.normal_side) THEN a.spent_day
                                ELSE greatest(a.spent_day, today) END
          FROM jsonb_to_recordset(item->'postings') AS p (account bigint, side text, minor bigint)
         WHERE a.id = p.account AND a.id = ANY (ARRAY(SELECT account FROM jsonb_to_recordset(item->'postings') AS each (account bigint)))
        RETURNING a.id, a.version, a.balance, p.side, p.minor,
                  CASE WHEN has_limits AND a.floor IS NOT NULL AND p.side <> a.normal_side THEN a.spent_day END AS limit_day
    )
    INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)
    SELECT id, version, entry_id, side, minor, balance, today, limit_day FROM moved;
END $$;

-- Books an entry that is plain and allowed; NULL if it is not, or its key is known.
CREATE FUNCTION ledger_post_plain(item jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    today date := item->>'booking_date';
    per_payment bigint := item->>'limit_per_payment';
    per_day bigint := item->>'limit_per_day';
    is_allowed boolean;
    new_id bigint;
BEGIN
    SELECT count(*) = jsonb_array_length(item->'postings') AND count(DISTINCT a.id) = count(*) AND min(p.currency) = max(p.currency)
           AND sum(CASE WHEN p.side = 'debit' THEN p.minor ELSE -p.minor END) = 0
           AND bool_and((
               a.currency = p.currency AND (a.status = 'open' OR (a.status = 'debits_frozen' AND p.side = a.normal_side))
               AND (a.floor IS NULL OR p.side = a.normal_side OR (
                   a.balance - a.held - p.minor >= a.floor
                   AND (per_payment IS NULL OR (
                       p.minor <= coalesce(a.limit_per_payment, per_payment)
                       AND (per_day IS NULL OR p.minor + CASE WHEN a.spent_day >= today THEN a.spent ELSE 0 END <= coalesce(a.limit_per_day, per_day))
                   ))
               ))
           ) IS TRUE)
           -- Looked for although the INSERT would find it: a bank that is closed to writing answers what came before.
           AND NOT EXISTS (SELECT FROM journal_entries WHERE caller = item->>'caller' AND idempotency_key = item->>'key')
      INTO is_allowed
      FROM (
          SELECT * FROM ledger_accounts
           WHERE id = ANY (ARRAY(SELECT account FROM jsonb_to_recordset(item->'postings') AS each (account bigint)))
           ORDER BY id FOR NO KEY UPDATE
      ) AS a
      JOIN jsonb_to_recordset(item->'postings') AS p (account bigint, side text, minor bigint, currency text) ON p.account = a.id;
    IF is_allowed THEN
        INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at)
        VALUES (
            item->>'caller', item->>'key', item->>'digest', item->>'kind', item->>'narrative',
            today, (item->>'value_date')::date, (item->>'booked_at')::timestamp AT TIME ZONE 'UTC'
        )
        ON CONFLICT (caller, idempotency_key) DO NOTHING RETURNING id INTO new_id;
        IF new_id IS NOT NULL THEN
            PERFORM ledger_apply(new_id, item, NULL);
        END IF;
    END IF;
    RETURN new_id;
END $$;

-- Puts one entry through the door, whatever it is; its accounts are locked. Answers [how, entry id, refusal's code, refusal's facts].
CREATE FUNCTION ledger_post_one(item jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    known journal_entries;
    refused record;
    new_id bigint;
    change bigint;
BEGIN
    -- Our own callers cannot construct such an entry; whoever else has this role must not post one either.
    IF EXISTS (
        SELECT FROM (SELECT) AS entry LEFT JOIN jsonb_array_elements(item->'postings') AS posting ON true
         GROUP BY posting->>'currency'
        HAVING sum(CASE WHEN posting->>'side' = 'debit' THEN (posting->>'minor')::bigint ELSE -(posting->>'minor')::bigint END) <> 0
            OR count(DISTINCT posting->>'account') <> count(posting)
            OR (count(posting) = 0 AND item->>'hold_op' IS NULL)
    ) THEN
        RAISE EXCEPTION 'an entry is not balanced' USING ERRCODE = 'check_violation';
    END IF;

    SELECT * INTO known FROM journal_entries WHERE caller = item->>'caller' AND idempotency_key = item->>'key';
    IF NOT FOUND THEN
        SELECT * INTO refused FROM ledger_refusal(item);
        change := CASE
            WHEN refused.code IS NOT NULL THEN NULL
            WHEN item->>'hold_op' = 'reserve' THEN (item->>'hold_minor')::bigint
            ELSE (SELECT -coalesce((item->>'hold_minor')::bigint, remaining) FROM holds WHERE id = (item->>'hold_id')::bigint)
        END;
        INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at, reverses, hold_id, hold_change, refusal, refusal_facts)
        VALUES (
            item->>'caller', item->>'key', item->>'digest', item->>'kind', item->>'narrative',
            (item->>'booking_date')::date, (item->>'value_date')::date, (item->>'booked_at')::timestamp AT TIME ZONE 'UTC',
            CASE WHEN refused.code IS NULL THEN (item->>'reverses')::bigint END,
            CASE WHEN refused.code IS NULL THEN (item->>'hold_id')::bigint END,
            change,
            refused.code, CASE WHEN refused.code IS NOT NULL THEN refused.facts::text END
        )
        ON CONFLICT (caller, idempotency_key) DO NOTHING RETURNING id INTO new_id;
        -- Nothing inserted: the same key came by another connection, whose commit this one has just waited for.
        IF new_id IS NULL THEN
            SELECT * INTO known FROM journal_entries WHERE caller = item->>'caller' AND idempotency_key = item->>'key';
        END IF;
    END IF;

    IF new_id IS NULL THEN
        RETURN CASE WHEN known.digest <> item->>'digest' THEN jsonb_build_array('key_reused', NULL, NULL, NULL)
                    ELSE jsonb_build_array('replayed', known.id, known.refusal, known.refusal_facts::jsonb) END;
    ELSIF refused.code IS NOT NULL THEN
        RETURN jsonb_build_array('refused', new_id, refused.code, refused.facts);
    END IF;
    PERFORM ledger_apply(new_id, item, change);
    RETURN jsonb_build_array('posted', new_id, NULL, NULL);
END $$;

-- Books the entries after the first `done`, up to one that is not plain or not allowed; answers for each that is booked.
-- Accounts `ids` are locked. A key that came before ends the run if `keys_are_new` is false; else it raises unique_violation.
CREATE FUNCTION ledger_post_run(batch jsonb, done int, ids bigint[], keys_are_new boolean) RETURNS jsonb[] LANGUAGE plpgsql AS $$
DECLARE
    answers jsonb[];
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT nextval('journal_entries_id_seq') AS id, entry.*
          FROM ROWS FROM (jsonb_to_recordset(batch) AS (
              caller text, key text, digest text, kind text, narrative text, booking_date date, value_date date, booked_at timestamp,
              limit_per_payment bigint, limit_per_day bigint, hold_op text, reverses bigint, postings jsonb
          )) WITH ORDINALITY AS entry (
              caller, key, digest, kind, narrative, booking_date, value_date, booked_at,
              limit_per_payment, limit_per_day, hold_op, reverses, postings, place
          )
         WHERE place > done
    ), judged AS MATERIALIZED (
        -- Each account's postings one after the other, as if all before them were booked.
        SELECT e.place, e.id, e.booking_date, p.account, p.side, p.minor, p.currency, a.normal_side, limited,
               a.version + row_number() OVER chain AS seq,
               a.balance + sum(CASE WHEN p.side = a.normal_side THEN p.minor ELSE -p.minor END) OVER chain AS balance_after,
               CASE WHEN limited THEN greatest(a.spent_day, e.booking_date) END AS limit_day,
               CASE WHEN a.spent_day >= e.booking_date THEN a.spent ELSE 0 END + sum(p.minor) FILTER (WHERE limited) OVER chain AS spent,
               lag(e.place) OVER chain = e.place AS stands_twice,
               a.held, a.floor, a.guarded,
               a.currency = p.currency AND (a.status = 'open' OR (a.status = 'debits_frozen' AND p.side = a.normal_side)) AS is_usable,
               coalesce(a.limit_per_payment, e.limit_per_payment) AS per_payment, coalesce(a.limit_per_day, e.limit_per_day) AS per_day
          FROM asked e
         CROSS JOIN LATERAL jsonb_to_recordset(e.postings) AS p (account bigint, side text, minor bigint, currency text)
          LEFT JOIN LATERAL (
              SELECT l.*, l.floor IS NOT NULL AND p.side <> l.normal_side AS guarded FROM ledger_accounts l WHERE l.id = p.account LIMIT 1
          ) AS a ON true
         CROSS JOIN LATERAL (SELECT a.guarded AND e.limit_per_payment IS NOT NULL AS limited) AS rule
        WINDOW chain AS (PARTITION BY p.account ORDER BY e.place ROWS UNBOUNDED PRECEDING)
    ), obstacle AS (
        SELECT min(place) AS place FROM (
            SELECT place FROM asked
             WHERE hold_op IS NOT NULL OR reverses IS NOT NULL OR postings = '[]'
                OR CASE WHEN NOT keys_are_new THEN (SELECT 1 FROM journal_entries k WHERE k.caller = asked.caller AND k.idempotency_key = asked.key) END = 1
            UNION ALL
            SELECT place FROM judged
             WHERE (is_usable AND stands_twice IS NOT TRUE AND (NOT guarded OR balance_after - held >= floor)
                    AND (NOT limited OR (
                        minor <= per_payment AND (per_day IS NULL OR spent <= per_day)
                        -- What is spent is added up for one day.
                        AND booking_date = (SELECT min(booking_date) FROM asked)
                    ))) IS NOT TRUE
            UNION ALL
            SELECT place FROM judged GROUP BY place, currency HAVING sum(CASE WHEN side = 'debit' THEN minor ELSE -minor END) <> 0
        ) AS found
    ), run AS MATERIALIZED (
        SELECT coalesce(place, jsonb_array_length(batch) + 1) AS ends FROM obstacle
    ), entries AS (
        INSERT INTO journal_entries (id, caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at)
        SELECT id, caller, key, digest, kind, narrative, booking_date, value_date, booked_at AT TIME ZONE 'UTC'
          FROM asked WHERE place < (SELECT ends FROM run)
    ), chained AS (
        INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)
        SELECT account, seq, id, side, minor, balance_after, booking_date, limit_day
          FROM judged WHERE place < (SELECT ends FROM run)
    ), moved AS (
        UPDATE ledger_accounts a
           SET balance = a.balance + net, version = a.version + count,
               spent = CASE WHEN day IS NULL THEN a.spent WHEN a.spent_day >= day THEN a.spent + total ELSE total END,
               spent_day = coalesce(day, a.spent_day)
          FROM (
              SELECT account, count(*), sum(CASE WHEN side = normal_side THEN minor ELSE -minor END) AS net,
                     max(limit_day) AS day, sum(minor) FILTER (WHERE limited) AS total
                FROM judged WHERE place < (SELECT ends FROM run) GROUP BY account
          ) AS each
         WHERE a.id = each.account AND a.id = ANY (ids)
    )
    SELECT array(SELECT jsonb_build_array('posted', id, NULL, NULL) FROM asked WHERE place < (SELECT ends FROM run) ORDER BY place) INTO answers;
    RETURN answers;
END $$;

-- Answers a JSON array in the batch's order: [how, entry id, refusal's code, refusal's facts].
-- Plans are generic: made once, and each look-up in them is one of an index, however long the batch. Without the word about
-- seqscan, those that are made while the bank is new, the foreign keys' among them, read whole tables until the next ANALYZE.
CREATE OR REPLACE FUNCTION ledger_post(batch jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    size int := jsonb_array_length(batch);
    done int := 0;
    ids bigint[];
    run jsonb[];
    new_id bigint;
    answers jsonb[] := '{{}}';
    keys_are_new boolean := true;
    -- After so many short runs the rest goes one by one: looking for runs costs more than they save.
    short_runs int := 4;
BEGIN
    -- One that is plain locks its accounts while it is judged.
    IF size > 1 OR batch->0->>'hold_op' IS NOT NULL OR batch->0->>'reverses' IS NOT NULL THEN
        SELECT array_agg(id) INTO ids FROM (
            SELECT id FROM ledger_accounts
             WHERE id = ANY (ARRAY(
                 SELECT (jsonb_array_elements(entry->'postings')->>'account')::bigint FROM jsonb_array_elements(batch) AS entry
                 UNION ALL
                 SELECT (entry->>'hold_account')::bigint FROM jsonb_array_elements(batch) AS entry
             ))
             ORDER BY id FOR NO KEY UPDATE
        ) AS locked;
    END IF;

    WHILE done < size LOOP
        IF size - done > 3 AND short_runs > 0 THEN
            BEGIN
                run := ledger_post_run(batch, done, ids, keys_are_new);
                IF cardinality(run) < (size - done) / 16 THEN
                    short_runs := short_runs - 1;
                END IF;
                answers := answers || run;
                done := done + cardinality(run);
                CONTINUE WHEN cardinality(run) > 0 AND done = size;
            EXCEPTION
                WHEN unique_violation THEN
                    -- A key came before. The next run ends at it; if it stands twice in this batch, none finds it.
                    IF NOT keys_are_new THEN
                        short_runs := 0;
                    END IF;
                    keys_are_new := false;
                    CONTINUE;
                WHEN raise_exception THEN
                    -- Closed to writing: what came before is answered, one by one, and the first that is new is refused.
                    short_runs := 0;
            END;
        END IF;
        new_id := CASE WHEN batch->done->>'hold_op' IS NULL AND batch->done->>'reverses' IS NULL THEN ledger_post_plain(batch->done) END;
        answers := answers || CASE WHEN new_id IS NULL THEN ledger_post_one(batch->done) ELSE jsonb_build_array('posted', new_id, NULL, NULL) END;
        done := done + 1;
    END LOOP;
    RETURN to_jsonb(answers);
END $$;

REVOKE ALL ON FUNCTION ledger_post_plain(jsonb), ledger_post_one(jsonb), ledger_post_run(jsonb, int, bigint[], boolean) FROM PUBLIC;
