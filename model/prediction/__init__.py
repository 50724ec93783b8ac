"""Use trained models: classify texts, export run folders, and exchange them with the Hugging Face hub."""
