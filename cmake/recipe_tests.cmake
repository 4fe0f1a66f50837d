# Read by ctest: a test for the quick form of each recipe that the command has. @SINTER@ and the others are of the build.
if(EXISTS "@SINTER@")
  execute_process(COMMAND "@SINTER@" recipe --list OUTPUT_VARIABLE list ERROR_QUIET)
  string(REPLACE ";" "," list "${list}") # would begin another item
  string(REGEX MATCHALL "[^\n]+" rows "${list}")
  foreach(row IN LISTS rows)
    string(REGEX MATCH "^[a-z0-9_.]+" id "${row}")
    add_test("recipe_${id}" bash "@TREE@/tests/recipes/quick.sh" "@SINTER@" "@TREE@" "${id}")
    set_tests_properties("recipe_${id}" PROPERTIES SKIP_RETURN_CODE 77 COST 20 WORKING_DIRECTORY "@BINARY@")
  endforeach()
endif()
