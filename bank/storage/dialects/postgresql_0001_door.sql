-- The door on PostgreSQL: one statement, `SELECT ledger_post(batch)`, one round trip.
-- The same steps in the same order as mysql_0001_door.sql and sqlite.py; tests/storage proves them alike.

CREATE FUNCTION ledger_refusal(item jsonb, OUT code text, OUT facts jsonb) LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    original record;
    account ledger_accounts;
    hold holds;
    minor bigint := (item->>'hold_minor')::bigint;
    booked_at timestamptz := (item->>'booked_at')::timestamp AT TIME ZONE 'UTC';
    captured bigint := 0;
BEGIN
    IF item->>'reverses' IS NOT NULL THEN
        SELECT e.id, e.refusal, e.reverses, EXISTS (SELECT FROM postings p WHERE p.entry_id = e.id) AS moved,
               EXISTS (SELECT FROM journal_entries r WHERE r.reverses = e.id) AS reversed
          INTO original FROM journal_entries e WHERE e.id = (item->>'reverses')::bigint;
        facts := jsonb_build_object('entry', (item->>'reverses')::bigint);
        IF original.id IS NULL THEN code := 'unknown_entry'; RETURN; END IF;
        IF original.refusal IS NOT NULL OR original.reverses IS NOT NULL OR NOT original.moved THEN code := 'not_reversible'; RETURN; END IF;
        IF original.reversed THEN code := 'already_reversed'; RETURN; END IF;
    END IF;

    IF item->>'hold_op' IS NOT NULL THEN
        SELECT * INTO account FROM ledger_accounts WHERE id = (item->>'hold_account')::bigint;
        facts := jsonb_build_object('account', (item->>'hold_account')::bigint);
        IF account.id IS NULL THEN code := 'unknown_account'; RETURN; END IF;
        IF item->>'hold_op' = 'reserve' THEN
            IF account.currency <> item->>'hold_currency' THEN code := 'currency_mismatch'; RETURN; END IF;
            IF account.status = 'closed' THEN code := 'account_closed'; RETURN; END IF;
            IF account.status <> 'open' THEN code := 'account_frozen'; RETURN; END IF;
            IF account.balance - account.held - account.floor < minor THEN
                code := 'insufficient_funds';
                facts := facts || jsonb_build_object('available', account.balance - account.held - account.floor, 'needed', minor, 'currency', account.currency);
                RETURN;
            END IF;
        ELSE
            SELECT * INTO hold FROM holds WHERE id = (item->>'hold_id')::bigint AND account_id = account.id;
            facts := jsonb_build_object('hold', (item->>'hold_id')::bigint);
            IF hold.id IS NULL THEN code := 'unknown_hold'; RETURN; END IF;
            IF hold.remaining = 0 THEN code := 'hold_ended'; RETURN; END IF;
            IF item->>'hold_op' = 'expire' AND (hold.expires_at IS NULL OR hold.expires_at > booked_at) THEN code := 'hold_not_expired'; RETURN; END IF;
            IF item->>'hold_op' = 'capture' THEN
                IF hold.expires_at <= booked_at THEN code := 'hold_expired'; RETURN; END IF;
                IF minor > hold.remaining THEN
                    code := 'hold_too_small';
                    facts := facts || jsonb_build_object('remaining', hold.remaining, 'currency', account.currency);
                    RETURN;
                END IF;
                captured := minor;
            END IF;
        END IF;
    END IF;

    -- Of all that stands against it, the first posting's first reason: status before limits before funds.
    SELECT reason.code, reason.facts INTO code, facts
      FROM jsonb_array_elements(item->'postings') WITH ORDINALITY AS p (posting, place)
      CROSS JOIN LATERAL (
          SELECT (posting->>'account')::bigint AS id, (posting->>'minor')::bigint AS minor, posting->>'side' AS side, posting->>'currency' AS currency
      ) AS asked
      LEFT JOIN ledger_accounts a ON a.id = asked.id
      CROSS JOIN LATERAL (
          SELECT a.floor IS NOT NULL AND asked.side <> a.normal_side AS guarded,
                 a.balance - a.held + CASE WHEN a.id = (item->>'hold_account')::bigint THEN captured ELSE 0 END - a.floor AS available,
                 coalesce(a.limit_per_payment, (item->>'limit_per_payment')::bigint) AS per_payment,
                 coalesce(a.limit_per_day, (item->>'limit_per_day')::bigint) AS per_day,
                 CASE WHEN a.spent_day >= (item->>'booking_date')::date THEN a.spent ELSE 0 END AS spent_today
      ) AS now
      CROSS JOIN LATERAL (VALUES
          (1, CASE WHEN a.id IS NULL THEN 'unknown_account'
                   WHEN a.currency <> asked.currency THEN 'currency_mismatch'
                   WHEN a.status = 'closed' THEN 'account_closed'
                   WHEN a.status = 'frozen' OR (a.status = 'debits_frozen' AND asked.side <> a.normal_side) THEN 'account_frozen' END,
              jsonb_build_object('account', asked.id)),
          (2, CASE WHEN guarded AND item->>'limit_per_payment' IS NOT NULL AND asked.minor > per_payment THEN 'over_payment_limit' END,
              jsonb_build_object('account', asked.id, 'limit', per_payment, 'needed', asked.minor, 'currency', a.currency)),
          (3, CASE WHEN guarded AND item->>'limit_per_day' IS NOT NULL AND spent_today + asked.minor > per_day THEN 'over_daily_limit' END,
              jsonb_build_object('account', asked.id, 'limit', per_day, 'spent', spent_today, 'needed', asked.minor, 'currency', a.currency)),
          (4, CASE WHEN guarded AND asked.minor > available THEN 'insufficient_funds' END,
              jsonb_build_object('account', asked.id, 'available', available, 'needed', asked.minor, 'currency', a.currency))
      ) AS reason (stage, code, facts)
     WHERE reason.code IS NOT NULL
     ORDER BY reason.stage, p.place
     LIMIT 1;
END $$;

CREATE FUNCTION ledger_apply(entry_id bigint, item jsonb, held_change bigint) RETURNS void LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
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

    WITH asked AS (
        SELECT (value->>'account')::bigint AS id, (value->>'minor')::bigint AS minor, value->>'side' AS side FROM jsonb_array_elements(item->'postings')
    ), moved AS (
        UPDATE ledger_accounts a
           SET balance = a.balance + CASE WHEN asked.side = a.normal_side THEN asked.minor ELSE -asked.minor END,
               version = a.version + 1,
               spent = CASE WHEN NOT limited THEN a.spent WHEN a.spent_day >= today THEN a.spent + asked.minor ELSE asked.minor END,
               spent_day = CASE WHEN NOT limited THEN a.spent_day ELSE greatest(a.spent_day, today) END
          FROM asked
          CROSS JOIN LATERAL (SELECT (item->>'booking_date')::date AS today) AS day
          JOIN ledger_accounts before ON before.id = asked.id
          CROSS JOIN LATERAL (
              SELECT item->>'limit_per_payment' IS NOT NULL AND before.floor IS NOT NULL AND asked.side <> before.normal_side AS limited
          ) AS rule
         WHERE a.id = asked.id
        RETURNING a.id, a.version, a.balance, a.spent_day, asked.minor, asked.side, today, limited
    )
    INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)
    SELECT id, version, entry_id, side, minor, balance, today, CASE WHEN limited THEN spent_day END FROM moved;
END $$;

-- Answers a JSON array in the batch's order: [how, entry id, refusal's code, refusal's facts].
CREATE FUNCTION ledger_post(batch jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    item jsonb;
    known journal_entries;
    refused record;
    new_id bigint;
    change bigint;
    answers jsonb[] := '{{}}';
BEGIN
    -- Our own callers cannot construct such an entry; whoever else has this role must not post one either.
    IF EXISTS (
        SELECT FROM jsonb_array_elements(batch) WITH ORDINALITY AS asked (entry, place)
          LEFT JOIN LATERAL jsonb_array_elements(entry->'postings') AS posting ON true
         GROUP BY place, posting->>'currency'
        HAVING sum(CASE WHEN posting->>'side' = 'debit' THEN (posting->>'minor')::bigint ELSE -(posting->>'minor')::bigint END) <> 0
            OR count(DISTINCT posting->>'account') <> count(posting)
            OR (count(posting) = 0 AND bool_and(entry->>'hold_op' IS NULL))
    ) THEN
        RAISE EXCEPTION 'an entry is not balanced' USING ERRCODE = 'check_violation';
    END IF;

    PERFORM FROM ledger_accounts
      WHERE id IN (
          SELECT (posting->>'account')::bigint FROM jsonb_array_elements(batch) AS entry, jsonb_array_elements(entry->'postings') AS posting
          UNION
          SELECT (entry->>'hold_account')::bigint FROM jsonb_array_elements(batch) AS entry
      )
      ORDER BY id FOR NO KEY UPDATE;

    FOR item IN SELECT value FROM jsonb_array_elements(batch) WITH ORDINALITY ORDER BY ordinality LOOP
        new_id := NULL;
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
            answers := answers || CASE WHEN known.digest <> item->>'digest' THEN jsonb_build_array('key_reused', NULL, NULL, NULL)
                                       ELSE jsonb_build_array('replayed', known.id, known.refusal, known.refusal_facts::jsonb) END;
        ELSIF refused.code IS NOT NULL THEN
            answers := answers || jsonb_build_array('refused', new_id, refused.code, refused.facts);
        ELSE
            PERFORM ledger_apply(new_id, item, change);
            answers := answers || jsonb_build_array('posted', new_id, NULL, NULL);
        END IF;
    END LOOP;
    RETURN to_jsonb(answers);
END $$;

-- PostgreSQL lets everybody call a new function; `bank db grant` names who may call the door, and nobody the others.
REVOKE ALL ON FUNCTION ledger_post(jsonb), ledger_apply(bigint, jsonb, bigint), ledger_refusal(jsonb) FROM PUBLIC;
