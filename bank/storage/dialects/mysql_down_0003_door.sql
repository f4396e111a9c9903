-- The door as mysql_0001_door.sql made it.

DROP PROCEDURE ledger_post_inner
--;;
CREATE PROCEDURE ledger_post_inner(IN batch LONGTEXT, OUT answers LONGTEXT)
BEGIN
    DECLARE done BOOLEAN DEFAULT FALSE;
    DECLARE locked_id, new_id, known_id, asked_reverses, asked_hold, asked_account, asked_minor, held_change, asked_limit BIGINT;
    DECLARE asked_caller VARBINARY(100);
    DECLARE asked_key VARBINARY(255);
    DECLARE asked_digest, known_digest VARCHAR(64);
    DECLARE asked_kind, known_refusal, refusal_code VARCHAR(40);
    DECLARE asked_narrative VARCHAR(200);
    DECLARE asked_day, asked_value DATE;
    DECLARE asked_at, asked_expires DATETIME(6);
    DECLARE operation VARCHAR(10);
    DECLARE item LONGTEXT;
    DECLARE refusal_facts_text, known_facts TEXT;
    DECLARE accounts CURSOR FOR
        SELECT DISTINCT id FROM JSON_TABLE(batch, '$[*].postings[*]' COLUMNS (id BIGINT PATH '$.account')) AS posted
        UNION SELECT id FROM JSON_TABLE(batch, '$[*]' COLUMNS (id BIGINT PATH '$.hold_account')) AS held WHERE id IS NOT NULL
        ORDER BY id;
    DECLARE items CURSOR FOR
        SELECT caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at, reverses, hold_op, hold_id, hold_account, hold_minor, hold_expires_at, limit_per_payment, entry
          FROM JSON_TABLE(batch, '$[*]' COLUMNS (
              place FOR ORDINALITY, caller VARCHAR(100) PATH '$.caller', idempotency_key VARCHAR(255) PATH '$.key', digest VARCHAR(64) PATH '$.digest',
              kind VARCHAR(30) PATH '$.kind', narrative VARCHAR(200) PATH '$.narrative', booking_date DATE PATH '$.booking_date',
              value_date DATE PATH '$.value_date', booked_at DATETIME(6) PATH '$.booked_at', reverses BIGINT PATH '$.reverses',
              hold_op VARCHAR(10) PATH '$.hold_op', hold_id BIGINT PATH '$.hold_id', hold_account BIGINT PATH '$.hold_account',
              hold_minor BIGINT PATH '$.hold_minor', hold_expires_at DATETIME(6) PATH '$.hold_expires_at',
              limit_per_payment BIGINT PATH '$.limit_per_payment', entry JSON PATH '$'
          )) AS asked ORDER BY place;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;

    -- Our own callers cannot construct such an entry; whoever else has this role must not post one either.
    IF EXISTS (
        SELECT 1 FROM JSON_TABLE(batch, '$[*]' COLUMNS (
            place FOR ORDINALITY, hold_op VARCHAR(10) PATH '$.hold_op',
            NESTED PATH '$.postings[*]' COLUMNS (
                id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side', currency VARCHAR(3) PATH '$.currency'
            )
        )) AS asked
        GROUP BY place, currency
        HAVING SUM(IF(side = 'debit', minor, -minor)) <> 0 OR COUNT(DISTINCT id) <> COUNT(id) OR (COUNT(id) = 0 AND MAX(hold_op) IS NULL)
    ) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an entry is not balanced';
    END IF;

    -- One by one, because a sorted SELECT … FOR UPDATE locks in the order it reads, not in the order it sorts.
    OPEN accounts;
    lock_accounts: LOOP
        FETCH accounts INTO locked_id;
        IF done THEN LEAVE lock_accounts; END IF;
        SELECT COUNT(*) INTO @ledger_locked FROM ledger_accounts WHERE id = locked_id FOR UPDATE;
    END LOOP;
    CLOSE accounts;

    SET done = FALSE, answers = '';
    OPEN items;
    post_items: LOOP
        FETCH items INTO asked_caller, asked_key, asked_digest, asked_kind, asked_narrative, asked_day, asked_value, asked_at, asked_reverses,
                         operation, asked_hold, asked_account, asked_minor, asked_expires, asked_limit, item;
        IF done THEN LEAVE post_items; END IF;
        SET new_id = NULL;
        SELECT MAX(id), MAX(digest), MAX(refusal), MAX(refusal_facts) INTO known_id, known_digest, known_refusal, known_facts
          FROM journal_entries WHERE caller = asked_caller AND idempotency_key = asked_key;
        IF known_id IS NULL THEN
            CALL ledger_refusal(item, refusal_code, refusal_facts_text);
            SET held_change = CASE
                WHEN refusal_code IS NOT NULL THEN NULL
                WHEN operation = 'reserve' THEN asked_minor
                ELSE (SELECT -COALESCE(asked_minor, remaining) FROM holds WHERE id = asked_hold) END;
            SET new_id = 0;
            BEGIN
                -- The same key came by another connection, whose commit this one has just waited for.
                DECLARE CONTINUE HANDLER FOR 1062 SET new_id = NULL;
                INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at, reverses, hold_id, hold_change, refusal, refusal_facts)
                VALUES (asked_caller, asked_key, asked_digest, asked_kind, asked_narrative, asked_day, asked_value, asked_at,
                        IF(refusal_code IS NULL, asked_reverses, NULL), IF(refusal_code IS NULL, asked_hold, NULL), held_change,
                        refusal_code, IF(refusal_code IS NULL, NULL, refusal_facts_text));
            END;
            IF new_id = 0 THEN
                SET new_id = LAST_INSERT_ID();
            ELSE
                SELECT MAX(id), MAX(digest), MAX(refusal), MAX(refusal_facts) INTO known_id, known_digest, known_refusal, known_facts
                  FROM journal_entries WHERE caller = asked_caller AND idempotency_key = asked_key FOR UPDATE;
                IF known_id IS NULL THEN
                    SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = 'journal_entries: another row than the key''s stands in the way';
                END IF;
            END IF;
        END IF;

        IF new_id IS NULL THEN
            SET answers = CONCAT(answers, IF(answers = '', '', ','), IF(known_digest <> asked_digest, '["key_reused",null,null,null]',
                CONCAT('["replayed",', known_id, ',', COALESCE(JSON_QUOTE(known_refusal), 'null'), ',', COALESCE(known_facts, 'null'), ']')));
        ELSEIF refusal_code IS NOT NULL THEN
            SET answers = CONCAT(answers, IF(answers = '', '', ','), '["refused",', new_id, ',', JSON_QUOTE(refusal_code), ',', COALESCE(refusal_facts_text, 'null'), ']');
        ELSE
            CALL ledger_apply(new_id, item, operation, asked_hold, asked_account, held_change, asked_expires, asked_day, asked_limit IS NOT NULL);
            SET answers = CONCAT(answers, IF(answers = '', '', ','), '["posted",', new_id, ',null,null]');
        END IF;
    END LOOP;
    CLOSE items;
    SET answers = CONCAT('[', answers, ']');
END
--;;
DROP PROCEDURE ledger_post_each
--;;
DROP PROCEDURE ledger_apply
--;;
CREATE PROCEDURE ledger_apply(IN entry BIGINT, IN item LONGTEXT, IN operation VARCHAR(10), IN asked_hold BIGINT, IN asked_account BIGINT, IN held_change BIGINT, IN expires DATETIME(6), IN asked_day DATE, IN limited BOOLEAN)
BEGIN
    IF operation = 'reserve' THEN
        INSERT INTO holds (id, account_id, minor_units, remaining, expires_at) VALUES (entry, asked_account, held_change, held_change, expires);
    ELSEIF operation IS NOT NULL THEN
        UPDATE holds SET remaining = remaining + held_change WHERE id = asked_hold;
    END IF;
    IF operation IS NOT NULL THEN
        UPDATE ledger_accounts SET held = held + held_change WHERE id = asked_account;
    END IF;

    -- Two statements, since a joined UPDATE promises no order among its assignments.
    IF limited THEN
        UPDATE ledger_accounts a
          JOIN JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', side VARCHAR(6) PATH '$.side')) AS asked ON asked.id = a.id
           SET a.spent = 0, a.spent_day = asked_day
         WHERE a.floor IS NOT NULL AND asked.side <> a.normal_side AND (a.spent_day IS NULL OR a.spent_day < asked_day);
    END IF;
    UPDATE ledger_accounts a
      JOIN JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side')) AS asked ON asked.id = a.id
       SET a.balance = a.balance + IF(asked.side = a.normal_side, asked.minor, -asked.minor),
           a.version = a.version + 1,
           a.spent = a.spent + IF(limited AND a.floor IS NOT NULL AND asked.side <> a.normal_side, asked.minor, 0);

    INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)
    SELECT a.id, a.version, entry, asked.side, asked.minor, a.balance, asked_day,
           IF(limited AND a.floor IS NOT NULL AND asked.side <> a.normal_side, a.spent_day, NULL)
      FROM JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side')) AS asked
      JOIN ledger_accounts a ON a.id = asked.id;
END
