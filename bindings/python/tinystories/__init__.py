"""Small language models that tell children's stories: write a dataset, train a tokenizer and a model on it, and tell stories with it.

    import tinystories as ts

    with ts.Generator(seed=1) as generator:
        generator.write(2000, "stories.txt")
    tokenizer = ts.Tokenizer.train_files("stories.txt", vocabulary_size=2048)
    with ts.Trainer(tokenizer, "laptop-0.3m", text="stories.txt", max_steps=200) as trainer:
        trainer.run(lambda report: print(report.step, report.loss))
        model = trainer.snapshot()
    print(ts.Sampler(model, seed=7).tell("Once upon a time"))

Text is str (UTF-8) or bytes. Arrays are numpy's where numpy is installed, else memoryviews. Errors are exceptions, one for each status of the library.
"""

from .errors import *  # noqa: F401,F403
from .errors import __all__ as _errors
from . import analysis
from .dataset import CleanStep, Instruct, InstructField, Summaries, clean_story, dataset_clean, dataset_instruct, dataset_stats
from .diversity import Beginning, Diversity, DiversityItem, Match, Novelty, Overlap, cut_at_repeat, overlap, read_beginnings
from .evaluator import Comparison, Completed, Duel, Evaluation, Evaluator, Followed, GradeMean, Judge, Judgment, Mark, Outcome, Suspicion, read_grades, read_prompts
from .generator import Author, BatchReport, Chat, ChatReport, Feature, Generator, Story, Unfit, WordKind, journal_export
from .model import Architecture, ArchitectureKind, Model, ModelFormat, ModelType, Score, TensorTypes
from .runtime import CpuLevel, LogLevel, Runtime, version
from .sampler import Alternatives, Batch, BeginOfText, ContextFull, Finish, Sampler, Step, tell_stories
from .tokenizer import ShardReport, Tokenizer
from .trainer import Communicator, Optimizer, Packing, Precision, Report, Schedule, Trainer
from . import study  # isort: skip: of all the others

__version__ = version()
__all__ = [*_errors, "Alternatives", "Architecture", "ArchitectureKind", "Author", "Batch", "BatchReport", "BeginOfText", "Beginning", "Chat", "ChatReport",
           "CleanStep", "Communicator", "Comparison", "Completed", "ContextFull", "CpuLevel", "Diversity", "DiversityItem", "Duel", "Evaluation",
           "Evaluator", "Feature", "Finish", "Followed", "Generator", "GradeMean", "Instruct", "InstructField", "Judge", "Judgment", "LogLevel", "Mark",
           "Match", "Model", "ModelFormat", "ModelType", "Novelty", "Optimizer", "Outcome", "Overlap", "Packing", "Precision", "Report", "Runtime",
           "Sampler", "Schedule", "Score", "ShardReport", "Step", "Story", "Summaries", "Suspicion", "TensorTypes", "Tokenizer", "Trainer", "Unfit", "WordKind",
           "analysis", "clean_story", "cut_at_repeat", "dataset_clean", "dataset_instruct", "dataset_stats", "journal_export", "overlap", "read_beginnings",
           "read_grades", "read_prompts", "study", "tell_stories", "version"]
