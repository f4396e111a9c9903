-- What is written stays written. REPLACE deletes without telling the DELETE triggers unless recursive_triggers
-- is on, which any other program may have off: so an INSERT over an existing row is refused as well.

CREATE TRIGGER journal_entries_keep BEFORE UPDATE ON journal_entries BEGIN SELECT RAISE(ABORT, 'journal_entries rows are never changed or deleted'); END
--;;
CREATE TRIGGER journal_entries_stay BEFORE DELETE ON journal_entries BEGIN SELECT RAISE(ABORT, 'journal_entries rows are never changed or deleted'); END
--;;
CREATE TRIGGER journal_entries_once BEFORE INSERT ON journal_entries
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM journal_entries WHERE caller = NEW.caller AND idempotency_key = NEW.idempotency_key)
  OR EXISTS (SELECT 1 FROM journal_entries WHERE reverses = NEW.reverses)
BEGIN SELECT RAISE(ABORT, 'journal_entries rows are never replaced'); END
--;;
CREATE TRIGGER postings_keep BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings rows are never changed or deleted'); END
--;;
CREATE TRIGGER postings_stay BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings rows are never changed or deleted'); END
--;;
CREATE TRIGGER postings_once BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM postings WHERE account_id = NEW.account_id AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'postings rows are never replaced'); END
--;;
CREATE TRIGGER audit_records_keep BEFORE UPDATE ON audit_records BEGIN SELECT RAISE(ABORT, 'audit_records rows are never changed or deleted'); END
--;;
CREATE TRIGGER audit_records_stay BEFORE DELETE ON audit_records BEGIN SELECT RAISE(ABORT, 'audit_records rows are never changed or deleted'); END
--;;
CREATE TRIGGER audit_records_once BEFORE INSERT ON audit_records
WHEN EXISTS (SELECT 1 FROM audit_records WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit_records rows are never replaced'); END
