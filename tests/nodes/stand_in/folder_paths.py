"""The host's folders, inside one that a test sets with `set_base`."""

import os

folder_names_and_paths = {}
base_path = os.path.join(os.path.dirname(__file__), "nowhere")
models_dir = os.path.join(base_path, "models")


def set_base(folder):
    """Move everything below `folder` and create it."""
    global base_path, models_dir
    base_path = str(folder)
    models_dir = os.path.join(base_path, "models")
    folder_names_and_paths.clear()
    for name in ("input", "output", os.path.join("models", "liminal")):
        os.makedirs(os.path.join(base_path, name), exist_ok=True)


def get_input_directory():
    """Folder for the user's pictures."""
    return os.path.join(base_path, "input")


def get_output_directory():
    """Folder for files written by nodes."""
    return os.path.join(base_path, "output")


def get_temp_directory():
    """Folder for files until the host ends."""
    return os.path.join(base_path, "temp")


def add_model_folder_path(folder_name, full_folder_path, is_default=False):
    """Add a folder of models."""
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)


def get_filename_list(folder_name):
    """Names of the files with a registered extension, below all folders of this kind."""
    paths, extensions = folder_names_and_paths[folder_name]
    found = set()
    for path in paths:
        for folder, _, files in os.walk(path):
            names = (os.path.relpath(os.path.join(folder, file), path) for file in files)
            found.update(name for name in names if os.path.splitext(name)[1].lower() in extensions)
    return sorted(found)


def get_full_path_or_raise(folder_name, filename):
    """Path of one of `get_filename_list`."""
    for path in folder_names_and_paths[folder_name][0]:
        if os.path.isfile(os.path.join(path, filename)):
            return os.path.join(path, filename)
    raise FileNotFoundError(f"Model in folder '{folder_name}' with filename '{filename}' not found.")
