-- The door as postgresql_0001_door.sql made it.

DROP FUNCTION ledger_post_plain(jsonb), ledger_post_one(jsonb), ledger_post_run(jsonb, int, bigint[], boolean);

CREATE OR REPLACE FUNCTION ledger_apply(entry_id bigint, item jsonb, held_change bigint) RETURNS void LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
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
CREATE OR REPLACE FUNCTION ledger_post(batch jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
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
