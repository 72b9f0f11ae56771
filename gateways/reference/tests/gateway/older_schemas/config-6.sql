UPDATE teams SET calendar_aligned = 1 WHERE id = 't-made';
