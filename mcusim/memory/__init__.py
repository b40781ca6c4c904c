"""What a Program takes: SRAM bank by bank, flash item by item, plans beside their optimum, other ways of counting."""
