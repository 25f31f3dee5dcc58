"""Common first names by whom `he` and `she` are said of, for putting one in another's place.

Left out are names that are words too (Mark, Rose, May, Max), or places (Austin), or said of both
(Alex): a question is to be read as before, and a program's `max` is none of its people.
"""

from __future__ import annotations

__all__ = ["FEMALE", "MALE", "WITH"]

_FEMALE = """
Abigail Adriana Agnes Aisha Alana Alexandra Alice Alicia Alina Alison Amanda Amara Amelia Amina Amy
Ana Andrea Angela Anika Anita Ann Anna Anne Annie Asha Ashley Audrey Ava Barbara Beatrice Becky
Bella Beth Bethany Betty Beverly Bianca Brenda Bridget Brittany Camila Candice Carla Carly Carmen
Caroline Carolyn Carrie Catherine Cathy Cecilia Chloe Christina Christine Cindy Claire Clara
Clarissa Claudia Courtney Cynthia Danielle Daphne Deborah Debra Delia Denise Diana Diane Dolores
Donna Doris Dorothy Edith Eileen Elaine Eleanor Elena Eliza Elizabeth Ella Ellen Elsa Emily Emma
Erica Erin Esther Eva Evelyn Farah Fatima Felicia Fiona Flora Frances Gabriela Gemma Gertrude Gina
Gloria Greta Gwen Hannah Harriet Heather Helen Helena Ines Ingrid Irene Isabel Isabella Jane Janet
Janice Jasmine Jenna Jennifer Jenny Jessica Jill Joan Joanna Josephine Joyce Judith Judy Julia Julie
Juliet Kamala Karen Kate Katherine Kathleen Kathy Katie Katy Kayla Keiko Kendra Kimberly Kira
Kristen Kylie Lara Laura Lauren Layla Leah Leila Lena Leslie Lila Linda Lisa Lola Lori Louise Lucia
Lucy Lydia Mabel Maggie Mandy Marcia Margaret Maria Marie Marina Marla Martha Mary Maya Megan Mei
Melanie Melissa Mia Michelle Mina Miranda Molly Monica Nadia Nancy Naomi Natalia Natalie Nicole Nina
Nora Olga Olivia Pamela Patricia Paula Peggy Polly Priya Rachel Rebecca Rita Rosa Rosemary Rosie
Ruth Sabrina Sally Samantha Sandra Sara Sarah Selena Sharon Sheila Shelly Sofia Sonia Sophia Sophie
Stacy Stella Stephanie Susan Susie Suzanne Sylvia Tabitha Tamara Tanya Tara Teresa Tessa Theresa
Tiffany Tina Ursula Valentina Valeria Valerie Vanessa Vera Veronica Victoria Vivian Wanda Wendy Yara
Yolanda Yuki Zoe
"""

_MALE = """
Aaron Abdul Adam Adrian Ahmed Alan Albert Alejandro Alfred Ali Amir Andre Andrew Andy Anthony
Antonio Arjun Arnold Arthur Barry Ben Benjamin Bernard Bert Bob Bobby Brad Bradley Brandon Brian
Bruce Bruno Bryan Caleb Calvin Carl Carlos Cedric Charles Christopher Clarence Connor Craig Curtis
Damian Dan Daniel Danny Darren Dave David Dennis Derek Diego Dmitri Dominic Donald Douglas Duncan
Dylan Eddie Eduardo Edward Edwin Eli Elijah Emmanuel Enrique Eric Ernest Ethan Eugene Felix Fernando
Francisco Fred Freddy Gabriel Gary Geoffrey George Gerald Gilbert Gordon Graham Greg Gregory Gustavo
Harold Harry Harvey Hassan Hector Henrik Henry Herbert Howard Hugo Ian Ibrahim Isaac Isaiah Ivan
Jack Jacob Jake Jamal James Jared Jason Javier Jeff Jeffrey Jeremy Jerome Jerry Jim Jimmy Joe Joel
Joey John Johnny Jonas Jonathan Jorge Jose Joseph Josh Joshua Juan Julian Julius Justin Karim Keith
Kenneth Kenny Kevin Kofi Kyle Larry Lawrence Leo Leon Leonard Liam Logan Louis Lucas Luis Luke
Malcolm Malik Manuel Marco Marcus Mario Martin Mateo Matt Matthew Maurice Michael Miguel Mike
Mitchell Mohamed Nathan Nathaniel Neil Nicholas Nick Nigel Noah Norman Oliver Omar Oscar Oswald Owen
Pablo Patrick Paul Pedro Peter Philip Phillip Quentin Rafael Raj Ralph Ramon Randall Randy Raymond
Reginald Ricardo Richard Ricky Robert Roberto Roger Ronald Roy Russell Ryan Samir Samuel Scott Sean
Sebastian Sergio Seth Shane Simon Stanley Stephen Steve Steven Stuart Ted Terrence Theodore Thomas
Tim Timothy Toby Todd Tom Tomas Tommy Tony Travis Trevor Tyler Vernon Victor Vincent Walter Warren
Wesley William Xavier Yusuf Zachary
"""

FEMALE: tuple[str, ...] = tuple(_FEMALE.split())
MALE: tuple[str, ...] = tuple(_MALE.split())

WITH = {name: names for names in (FEMALE, MALE) for name in names}
"""The names that may stand in a name's place, itself among them."""
