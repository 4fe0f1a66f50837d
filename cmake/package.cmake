# What is installed: the command with what it needs, the libraries of the C interface, headers, models, pages, and how
# other builds find them. The installed tree may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---- libraries: one with everything, one that only runs saved programs -------------------------------------------

# Every function that models and loaded backends may call is inside, used or not.
set(SN_OPEN_ROOMS base types kernel ref frontend)
set(open_objects "")
foreach(room ${SN_OPEN_ROOMS})
  list(APPEND open_objects $<TARGET_OBJECTS:sn_${room}>)
endforeach()

find_library(SN_JANSSON_SHARED NAMES libjansson.so jansson) # Debian's archive is not for shared libraries
# The archives of rooms.
function(sn_room_files out)
  set(files "")
  foreach(room ${ARGN})
    get_target_property(kind sn_${room} TYPE)
    if(NOT kind STREQUAL "INTERFACE_LIBRARY")
      list(APPEND files $<TARGET_FILE:sn_${room}>)
    endif()
  endforeach()
  set(${out} "${files}" PARENT_SCOPE)
endfunction()

# What they need beside themselves, as a linker is told.
set(SN_PRIVATE_LIBS "-lm;-lpthread;-ldl")
if(OpenMP_C_FOUND)
  list(APPEND SN_PRIVATE_LIBS ${OpenMP_C_FLAGS})
endif()

# sn_library(target name OBJECTS objects... ROOMS rooms... LIBS libraries...): lib<name>.so, all of the objects, of the
# rooms what they use; exports as cmake/<name>.map says
function(sn_library target name)
  cmake_parse_arguments(LIB "" "" "OBJECTS;ROOMS;LIBS" ${ARGN})
  set(map ${CMAKE_SOURCE_DIR}/cmake/${name}.map)
  sn_room_files(files ${LIB_ROOMS})
  add_library(${target} SHARED ${LIB_OBJECTS})
  target_link_libraries(${target} PRIVATE -Wl,--start-group ${files} -Wl,--end-group ${SN_JANSSON_SHARED} ${LIB_LIBS})
  target_link_options(${target} PRIVATE -Wl,--version-script=${map} -Wl,-Bsymbolic-functions -Wl,--gc-sections)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} VERSION ${PROJECT_VERSION} SOVERSION ${SN_SOVERSION}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib LINKER_LANGUAGE C LINK_DEPENDS ${map})
  foreach(room ${LIB_ROOMS})
    add_dependencies(${target} sn_${room})
  endforeach()
endfunction()

# The static form: one relocatable object in which everything inner is local.
function(sn_static_library name keep)
  cmake_parse_arguments(LIB "" "" "OBJECTS;ROOMS" ${ARGN})
  set(object ${CMAKE_BINARY_DIR}/lib/${name}.o)
  set(archive ${CMAKE_BINARY_DIR}/lib/lib${name}.a)
  sn_room_files(files ${LIB_ROOMS})
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${object} ${LIB_OBJECTS} -Wl,--start-group ${files} ${SN_JANSSON} -Wl,--end-group
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden --wildcard --keep-global-symbol=${keep} --strip-debug ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} qcs ${archive} ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${object}
    DEPENDS ${LIB_OBJECTS} ${files} COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(lib${name}-static ALL DEPENDS ${archive})
  install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

find_library(SN_JANSSON_SHARED NAMES libjansson.so jansson) # Debian's archive is not for shared libraries
set(SN_SOVERSION 0)
set(rt_objects $<TARGET_OBJECTS:sn_host>)
set(rt_rooms runtime plan types base)
set(all_objects ${rt_objects} $<TARGET_OBJECTS:sn_host_compile> ${open_objects})
set(all_rooms compile template llvm spirv passes ops graph ${rt_rooms})
sn_library(libsinter-rt sinter-rt OBJECTS ${rt_objects} ROOMS ${rt_rooms} LIBS ${SN_PRIVATE_LIBS})
sn_library(libsinter sinter OBJECTS ${all_objects} ROOMS ${all_rooms} LIBS ${SN_PRIVATE_LIBS})
if(NOT SN_SANITIZE AND SN_JANSSON MATCHES "\\.a$")
  sn_static_library(sinter-rt "sn_v1_*" OBJECTS ${rt_objects} ROOMS ${rt_rooms})
  sn_static_library(sinter "sn_*" OBJECTS ${all_objects} ROOMS ${all_rooms})
endif()

# ---- files --------------------------------------------------------------------------------------------------------

# A build tree is laid out as an installed one: what the command and the library look for is found in both.
foreach(name sinter-run sinter-rt.o)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/libexec/sinter)
  file(CREATE_LINK ${CMAKE_BINARY_DIR}/${name} ${CMAKE_BINARY_DIR}/libexec/sinter/${name} SYMBOLIC)
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/sinter)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/models ${CMAKE_BINARY_DIR}/share/sinter/models SYMBOLIC)

install(TARGETS sinter DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libsinter libsinter-rt LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS sinter-run DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sinter)
if(NOT SN_SANITIZE)
  install(FILES ${CMAKE_BINARY_DIR}/sinter-rt.o DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sinter)
endif()

# Headers keep their folders: a backend's file includes "backends/backend.h" here and there.
set(SN_HEADERS
    ir/base/allocator.h ir/base/arena.h ir/base/code.h ir/base/half.h ir/base/lex.h ir/base/status.h ir/base/str.h
    ir/types/dim.h ir/types/dtype.h ir/types/target.h ir/types/type.h ir/kernel/kernel.h ir/kernel/kop.def
    ir/plan/plan.h ir/ref/kinterp.h backends/backend.h)
foreach(header ${SN_HEADERS})
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sinter/${folder})
endforeach()
install(FILES frontend/sinter.h host/sinter_host.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sinter)
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sinter/models)
install(DIRECTORY backends/template DESTINATION ${CMAKE_INSTALL_DATADIR}/sinter/backends)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs FILES_MATCHING PATTERN "*.md" PATTERN gen EXCLUDE)

# ---- pages that the command writes ----------------------------------------------------------------------------------

foreach(page man bash zsh fish)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/pages/${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/pages
    COMMAND sh -c "$<TARGET_FILE:sinter> pages ${page} > ${CMAKE_BINARY_DIR}/pages/${page}" DEPENDS sinter VERBATIM)
  list(APPEND page_files ${CMAKE_BINARY_DIR}/pages/${page})
endforeach()
add_custom_target(pages ALL DEPENDS ${page_files})
install(FILES ${CMAKE_BINARY_DIR}/pages/man DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME sinter.1)
install(FILES ${CMAKE_BINARY_DIR}/pages/bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sinter)
install(FILES ${CMAKE_BINARY_DIR}/pages/zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _sinter)
install(FILES ${CMAKE_BINARY_DIR}/pages/fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME sinter.fish)

# ---- how others find it ---------------------------------------------------------------------------------------------

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/sinter)
configure_package_config_file(cmake/sinterConfig.cmake.in ${CMAKE_BINARY_DIR}/cmake/sinterConfig.cmake INSTALL_DESTINATION ${cmake_folder}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/sinterConfigVersion.cmake VERSION ${PROJECT_VERSION}
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/sinterConfig.cmake ${CMAKE_BINARY_DIR}/cmake/sinterConfigVersion.cmake DESTINATION ${cmake_folder})

function(sn_pkg_config name text private)
  set(SN_PC_NAME ${name})
  set(SN_PC_TEXT ${text})
  string(REPLACE ";" " " SN_PC_PRIVATE "${private}")
  string(REGEX REPLACE "[^/]+" ".." SN_PC_UP "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  configure_file(cmake/sinter.pc.in ${CMAKE_BINARY_DIR}/cmake/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/cmake/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
sn_pkg_config(sinter "compiles and runs language models" "${SN_PRIVATE_LIBS}")
sn_pkg_config(sinter-rt "runs compiled language models" "${SN_PRIVATE_LIBS}")

# ---- package of Debian: cpack -G DEB --------------------------------------------------------------------------------

set(CPACK_PACKAGE_NAME sinter)
set(CPACK_PACKAGE_VENDOR "the Sinter developers")
set(CPACK_PACKAGE_CONTACT "the Sinter developers <sinter@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "dataflow-graph compiler for language models")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # libc, OpenMP, jansson
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "gcc | clang | c-compiler, libc6-dev | libc-dev") # model files are compiled
if(SN_HAVE_LLVM) # opened at run time: the package that its library is from
  execute_process(COMMAND dpkg-query -S ${SN_LLVM_LIBRARY} OUTPUT_VARIABLE owner ERROR_QUIET)
  if(owner MATCHES "^([^:,]+)")
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", ${CMAKE_MATCH_1}")
  else()
    message(STATUS "packages will not depend on LLVM: no package owns ${SN_LLVM_LIBRARY}")
  endif()
endif()
include(CPack)
