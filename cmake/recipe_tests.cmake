# Read by ctest: a test for the quick form of each recipe that the command has, and of the shortest ones on Vulkan.
# @SINTER@ and the others are of the build.
function(add_quick name id target)
  add_test("${name}" bash "@TREE@/tests/recipes/quick.sh" "@SINTER@" "@TREE@" "${id}" "${target}")
  set_tests_properties("${name}" PROPERTIES SKIP_RETURN_CODE 77 COST 20 WORKING_DIRECTORY "@BINARY@")
endfunction()
if(EXISTS "@SINTER@")
  execute_process(COMMAND "@SINTER@" recipe --list OUTPUT_VARIABLE list ERROR_QUIET)
  string(REPLACE ";" "," list "${list}") # would begin another item
  string(REGEX MATCHALL "[^\n]+" rows "${list}")
  foreach(row IN LISTS rows)
    string(REGEX MATCH "^[a-z0-9_.]+" id "${row}")
    add_quick("recipe_${id}" "${id}" cpu)
  endforeach()
  foreach(id dec.heads ed.corrupt pos.abs pos.rope)
    add_quick("recipe_vulkan_${id}" "${id}" vulkan)
  endforeach()
endif()
