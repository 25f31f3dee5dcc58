"""Common first and last names for the generated tasks: single ASCII words, no name in both."""

from __future__ import annotations

_FIRST = """
Aaron Abigail Adam Adrian Aisha Alan Alana Albert Alejandro Alex Alice Alicia Alina Amanda Amara
Amber Amelia Amina Amir Amy Ana Andrea Andrew Angela Anika Anita Anna Anthony Antonio April Arjun
Arthur Asha Ashley Audrey Ava Barbara Beatrice Ben Bethany Bianca Brandon Brenda Brian Bridget Bruno
Caleb Camila Carl Carla Carmen Caroline Catherine Cecilia Chloe Christine Claire Clara Connor
Cynthia Daisy Damian Daniel Daphne David Dawn Deborah Derek Diana Diego Dmitri Donna Dylan Edith
Eduardo Edward Elaine Elena Eli Elijah Eliza Elizabeth Ella Emily Emma Erica Ethan Eva Evelyn Farah
Fatima Felix Fiona Frances Gabriel Gabriela Gemma Gina Grace Hannah Harold Hassan Hazel Heather
Hector Helen Henrik Ian Ibrahim Ines Ingrid Irene Isaac Isabel Ivan Jack Jacob Jamal Jane Jasmine
Javier Jean Jenna Jennifer Jeremy Jessica Joan Joanna Joel John Jonas Jorge Joshua Juan Judith Julia
Julian Kamala Karen Karim Kate Keiko Kevin Kira Kofi Lara Laura Leah Leila Leo Leonard Liam Lila
Linda Lisa Lucas Lucia Lucy Luis Lydia Maggie Malik Marco Margaret Maria Marina Mary Mateo Maya
Megan Mei Melissa Mia Michelle Miguel Mina Mohamed Molly Monica Nadia Naomi Natalie Nathan Nina Noah
Nora Olga Oliver Olivia Omar Oscar Pablo Paula Pedro Peter Priya Rachel Rafael Raj Rebecca Rita Rosa
Ruth Samir Sara Simon Sofia Sonia Stella Susan Tanya Teresa Tessa Tina Tomas Valeria Vera Victor
Vivian Wendy Yara Yuki Yusuf Zoe
"""

_LAST = """
Abbott Adams Adkins Aguilar Ahmed Alvarez Anderson Andersson Armstrong Arnold Bailey Baker Baldwin
Barber Barnes Barrett Bauer Becker Bennett Berg Bishop Black Blair Boyd Bradley Brennan Brooks Brown
Bryant Burke Burns Burton Bush Butler Campbell Cannon Carlson Carpenter Carr Carroll Castillo Castro
Chan Chang Chapman Chavez Chen Choi Christensen Clark Cohen Coleman Collins Contreras Cook Cooper
Cruz Cunningham Davidson Davies Davis Delgado Diaz Dixon Doyle Duncan Dunn Edwards Eriksson Espinoza
Estrada Evans Farrell Ferguson Fernandez Fischer Fisher Fleming Flores Foster Fowler Fox Fuller
Garcia Gardner Garza Gibson Gomez Gonzalez Goodwin Graham Greene Griffin Gupta Gutierrez Hamilton
Hansen Hanson Harper Harris Hart Hawkins Hayes Henderson Hernandez Hicks Hill Hoffman Holmes Hughes
Hunter Ivanov Jackson Jacobs Jensen Jimenez Johansson Johnson Jones Kaur Keller Kennedy Khan Kim
King Klein Knight Kowalski Kumar Lambert Larsen Larson Lawson Lee Lewis Lopez Lowe Lynch Marsh
Martinez Mason McCarthy McCoy McDonald Mehta Mendoza Meyer Miller Mills Mitchell Moore Morales
Moreno Morris Murphy Murray Nakamura Nelson Newman Nguyen Novak Ortega Ortiz Osborne Owens Palmer
Park Parker Patel Patterson Perez Perkins Perry Petrov Phillips Pierce Popov Porter Powell Price
Quinn Ramirez Ramos Reed Reyes Reynolds Rice Rivera Roberts Robinson Rodriguez Rogers Romero Rossi
Ruiz Russo Ryan Sanchez Sanders Santos Sato Schmidt Schneider Schwartz Shah Sharma Silva Simmons
Singh Smith Snyder Soto Spencer Stevens Stone Sullivan Suzuki Tanaka Taylor Thompson Torres Tucker
Turner Vargas Vasquez Wagner Walker Wallace Walsh Warren Watson Weber Wilson Wong Wood Wright Wu
Yamamoto Yang Young Zhang Zimmerman
"""

FIRST_NAMES: tuple[str, ...] = tuple(_FIRST.split())
LAST_NAMES: tuple[str, ...] = tuple(_LAST.split())
