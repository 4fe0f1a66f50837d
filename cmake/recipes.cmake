# Writes OUT: ROWS(stem) for each file of FOLDER that has rows of recipes.
#   cmake -DOUT=FILE -DFOLDER=models/recipes -P recipes.cmake
file(GLOB sources ${FOLDER}/*.c)
list(SORT sources)
set(rows "")
foreach(source ${sources})
  file(STRINGS ${source} found REGEX "^RECIPES\\(")
  if(found)
    get_filename_component(stem ${source} NAME_WE)
    string(APPEND rows "ROWS(${stem})\n")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${OUT} CONTENT "${rows}")
