import grimp


def test_no_two_modules_import_each_other() -> None:
    """Imports within functions count too; only those for types do not."""
    graph = grimp.build_graph("diffplan", exclude_type_checking_imports=True)
    imported = {module: graph.find_modules_directly_imported_by(module) - {"diffplan"} for module in graph.modules}
    assert len(imported) > 100
    while leaves := [module for module, others in imported.items() if not others & imported.keys()]:
        for module in leaves:  # what imports nothing that is left is in no circle
            del imported[module]
    assert not imported
