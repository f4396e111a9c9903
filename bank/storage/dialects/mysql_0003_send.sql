-- A payment by session or token, in one message: `CALL payments_send(batch)` looks at who asks, whether the account is
-- theirs and the payee known to them, and hands what it may to the door. The same steps in the same order as
-- postgresql_0003_send.sql and sqlite_send.py; tests/storage proves them alike.

-- `message` is what the door is to be told; NULL where `denial` says why it is not told, and `about` what stood in the way.
CREATE PROCEDURE payments_judge(IN item LONGTEXT, OUT message LONGTEXT, OUT denial VARCHAR(40), OUT about BIGINT)
judge: BEGIN
    DECLARE asked_means, asked_day, asked_currency VARCHAR(10);
    DECLARE asked_credential VARCHAR(64);
    DECLARE asked_payer, asked_payee VARBINARY(34);
    DECLARE asked_key VARCHAR(255);
    DECLARE asked_narrative VARCHAR(200);
    DECLARE narrative_json VARCHAR(2600);
    DECLARE asked_minor, asked_per_payment, asked_per_day, means_id, person, paying, receiving BIGINT;
    DECLARE idle, absolute, is_known, is_own INT;
    DECLARE asked_at, asked_seen, used_at DATETIME(6);
    DECLARE used_on DATE;
    DECLARE held_scopes VARCHAR(200);

    SELECT means, credential, seen, idle_seconds, absolute_seconds, payer, payee, minor, currency, idempotency_key, said, said_json, day, at, per_payment, per_day
      INTO asked_means, asked_credential, asked_seen, idle, absolute, asked_payer, asked_payee, asked_minor, asked_currency, asked_key,
           asked_narrative, narrative_json, asked_day, asked_at, asked_per_payment, asked_per_day
      FROM JSON_TABLE(item, '$' COLUMNS (
          means VARCHAR(10) PATH '$.means', credential VARCHAR(64) PATH '$.credential', seen DATETIME(6) PATH '$.seen',
          idle_seconds INT PATH '$.idle_seconds', absolute_seconds INT PATH '$.absolute_seconds',
          payer VARCHAR(34) PATH '$.payer', payee VARCHAR(34) PATH '$.payee', minor BIGINT PATH '$.minor', currency VARCHAR(3) PATH '$.currency',
          idempotency_key VARCHAR(255) PATH '$.key', said VARCHAR(200) PATH '$.narrative', said_json VARCHAR(2600) PATH '$.narrative_json',
          day VARCHAR(10) PATH '$.booking_date', at DATETIME(6) PATH '$.booked_at',
          per_payment BIGINT PATH '$.limit_per_payment', per_day BIGINT PATH '$.limit_per_day'
      )) AS asked;
    SET message = NULL, denial = NULL, about = NULL;

    IF asked_means = 'session' THEN
        SELECT MAX(id), MAX(person_id), MAX(last_used_at) INTO means_id, person, used_at FROM sessions
         WHERE token_digest = asked_credential AND kind = 'customer' AND revoked_at IS NULL
           AND GREATEST(last_used_at, COALESCE(asked_seen, last_used_at)) >= asked_at - INTERVAL idle SECOND
           AND created_at >= asked_at - INTERVAL absolute SECOND;
    ELSE
        SELECT MAX(id), MAX(person_id), MAX(scopes), MAX(last_used_on) INTO means_id, person, held_scopes, used_on FROM api_tokens
         WHERE token_digest = asked_credential AND kind = 'customer' AND revoked_at IS NULL AND expires_at > asked_at;
    END IF;
    SELECT MAX(id) INTO person FROM customers WHERE id = person AND status = 'active';
    IF person IS NULL THEN SET denial = 'signed_out'; LEAVE judge; END IF;

    -- Whoever holds the row at this moment notes a use as well; waiting for it could make two batches wait for each other.
    IF asked_means = 'session' AND used_at < asked_at - INTERVAL 60 SECOND THEN
        SELECT MAX(id) INTO means_id FROM sessions WHERE id = means_id FOR UPDATE SKIP LOCKED;
        UPDATE sessions SET last_used_at = asked_at WHERE id = means_id;
    ELSEIF asked_means <> 'session' AND (used_on IS NULL OR used_on <> asked_day) THEN
        SELECT MAX(id) INTO means_id FROM api_tokens WHERE id = means_id FOR UPDATE SKIP LOCKED;
        UPDATE api_tokens SET last_used_on = asked_day WHERE id = means_id;
    END IF;
    IF held_scopes IS NOT NULL AND NOT FIND_IN_SET('payments:write', REPLACE(held_scopes, ' ', ',')) THEN SET denial = 'wrong_scope'; LEAVE judge; END IF;

    SELECT MAX(id) INTO paying FROM ledger_accounts WHERE number = asked_payer;
    IF NOT EXISTS (SELECT 1 FROM account_holders WHERE account_id = paying AND customer_id = person) THEN SET denial = 'no_such_account'; LEAVE judge; END IF;
    IF asked_payer = asked_payee THEN SET denial = 'same_account'; LEAVE judge; END IF;
    SELECT MAX(id) INTO about FROM scheduled_payments WHERE operation = CONCAT(person, ':', asked_key);
    IF about IS NOT NULL THEN SET denial = 'planned'; LEAVE judge; END IF;

    -- What was paid, saved or tried before: another number is counted first, so that nobody finds accounts by trying.
    SELECT MAX(l.id) INTO receiving FROM ledger_accounts l JOIN accounts a ON a.id = l.id WHERE l.number = asked_payee;
    SET is_known = receiving IS NOT NULL AND (
        EXISTS (SELECT 1 FROM payees WHERE customer_id = person AND account_id = receiving)
        OR EXISTS (SELECT 1 FROM account_holders WHERE account_id = receiving AND customer_id = person)
        OR EXISTS (SELECT 1 FROM name_checks WHERE customer_id = person AND number = asked_payee AND result <> 'unknown'));
    IF NOT is_known THEN SET denial = 'untried'; LEAVE judge; END IF;

    -- The same owners on both sides, the payer among them: a shared owner alone would be a way round the limits.
    SET is_own = EXISTS (SELECT 1 FROM account_holders WHERE account_id = paying AND customer_id = person AND role = 'owner')
        AND (SELECT COUNT(*) FROM account_holders WHERE account_id = paying AND role = 'owner')
          = (SELECT COUNT(*) FROM account_holders WHERE account_id = receiving AND role = 'owner')
        AND NOT EXISTS (
            SELECT 1 FROM account_holders p
              LEFT JOIN account_holders r ON r.account_id = receiving AND r.customer_id = p.customer_id AND r.role = 'owner'
             WHERE p.account_id = paying AND p.role = 'owner' AND r.customer_id IS NULL);

    -- `x + 0`: MariaDB would write a bare variable as a string.
    SET message = JSON_OBJECT(
        'caller', CONCAT('customer:', person), 'key', asked_key, 'kind', 'transfer', 'narrative', asked_narrative,
        'digest', SHA2(CONCAT(
            '["transfer", ', narrative_json, ', [[', LEAST(paying, receiving), ', "', IF(paying < receiving, 'debit', 'credit'), '", ', asked_minor, ', "', asked_currency, '"], [',
            GREATEST(paying, receiving), ', "', IF(paying < receiving, 'credit', 'debit'), '", ', asked_minor, ', "', asked_currency, '"]], null, null]'), 256),
        'booking_date', asked_day, 'value_date', asked_day, 'booked_at', DATE_FORMAT(asked_at, '%Y-%m-%d %H:%i:%s.%f'),
        'limit_per_payment', IF(is_own, NULL, asked_per_payment) + 0, 'limit_per_day', IF(is_own, NULL, asked_per_day) + 0,
        'postings', JSON_ARRAY(
            JSON_OBJECT('account', paying + 0, 'side', 'debit', 'minor', asked_minor + 0, 'currency', asked_currency),
            JSON_OBJECT('account', receiving + 0, 'side', 'credit', 'minor', asked_minor + 0, 'currency', asked_currency)));
END
--;;
-- Answers, and then how far the log is written, so that a replica can be asked whether it has come that far. The answers
-- are in the batch's order: the door's own answer, or ["denied", what it was about, why, NULL].
CREATE PROCEDURE payments_send(IN batch LONGTEXT)
BEGIN
    DECLARE done BOOLEAN DEFAULT FALSE;
    DECLARE item, message, messages, posted, answers LONGTEXT DEFAULT '';
    DECLARE denials LONGTEXT DEFAULT '[';
    DECLARE denial VARCHAR(40);
    DECLARE about BIGINT;
    DECLARE place, taken INT DEFAULT 0;
    DECLARE items CURSOR FOR
        SELECT asked.entry FROM JSON_TABLE(batch, '$[*]' COLUMNS (place FOR ORDINALITY, entry JSON PATH '$')) AS asked ORDER BY asked.place;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

    START TRANSACTION;
    OPEN items;
    judge_items: LOOP
        FETCH items INTO item;
        IF done THEN LEAVE judge_items; END IF;
        CALL payments_judge(item, message, denial, about);
        IF denial IS NULL THEN
            SET messages = CONCAT(messages, IF(messages = '', '', ','), message);
        END IF;
        SET denials = CONCAT(denials, IF(place = 0, '', ','),
                             IF(denial IS NULL, 'null', CONCAT('["denied",', COALESCE(about, 'null'), ',"', denial, '",null]')));
        SET place = place + 1;
    END LOOP;
    CLOSE items;
    SET denials = CONCAT(denials, ']');

    IF messages <> '' THEN
        CALL ledger_post_inner(CONCAT('[', messages, ']'), posted);
    END IF;
    COMMIT;
    IF denials NOT LIKE '%denied%' THEN
        SELECT posted, @@bank_position;
    ELSE
        SET place = 0;
        WHILE place < JSON_LENGTH(denials) DO
            IF JSON_TYPE(JSON_EXTRACT(denials, CONCAT('$[', place, ']'))) = 'NULL' THEN
                SET item = JSON_EXTRACT(posted, CONCAT('$[', taken, ']')), taken = taken + 1;
            ELSE
                SET item = JSON_EXTRACT(denials, CONCAT('$[', place, ']'));
            END IF;
            SET answers = CONCAT(answers, IF(place = 0, '', ','), item), place = place + 1;
        END WHILE;
        SELECT CONCAT('[', answers, ']'), @@bank_position;
    END IF;
END
