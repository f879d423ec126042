-- Whose word 1C's value of a conflict is.
ALTER TABLE client_conflict ADD COLUMN told_by text;
