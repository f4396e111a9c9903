-- What is written stays written. No trigger sees TRUNCATE, but MySQL refuses it on a table that another one refers to:
-- journal_entries has postings; the empty tables below are there for the other two.

CREATE TRIGGER journal_entries_keep BEFORE UPDATE ON journal_entries FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'journal_entries rows are never changed or deleted'
--;;
CREATE TRIGGER journal_entries_stay BEFORE DELETE ON journal_entries FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'journal_entries rows are never changed or deleted'
--;;
CREATE TRIGGER postings_keep BEFORE UPDATE ON postings FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'postings rows are never changed or deleted'
--;;
CREATE TRIGGER postings_stay BEFORE DELETE ON postings FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'postings rows are never changed or deleted'
--;;
CREATE TRIGGER audit_records_keep BEFORE UPDATE ON audit_records FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_records rows are never changed or deleted'
--;;
CREATE TRIGGER audit_records_stay BEFORE DELETE ON audit_records FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_records rows are never changed or deleted'
--;;
CREATE TABLE postings_truncate_guard (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT fk_postings_truncate_guard FOREIGN KEY (account_id, seq) REFERENCES postings (account_id, seq)
) ENGINE = InnoDB
--;;
CREATE TABLE audit_records_truncate_guard (
    audit_record_id BIGINT NOT NULL,
    CONSTRAINT fk_audit_records_truncate_guard FOREIGN KEY (audit_record_id) REFERENCES audit_records (id)
) ENGINE = InnoDB
