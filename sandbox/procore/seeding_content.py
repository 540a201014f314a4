"""What people on a mid-rise office building ask and submit."""

SPEC_SECTIONS: tuple[tuple[str, str], ...] = (
    ("03 30 00", "Cast-in-Place Concrete"),
    ("04 20 00", "Unit Masonry"),
    ("05 12 00", "Structural Steel Framing"),
    ("05 31 00", "Steel Decking"),
    ("05 50 00", "Metal Fabrications"),
    ("06 40 00", "Architectural Woodwork"),
    ("07 13 26", "Self-Adhering Sheet Waterproofing"),
    ("07 21 00", "Thermal Insulation"),
    ("07 42 43", "Composite Wall Panels"),
    ("07 54 23", "Thermoplastic-Polyolefin Roofing"),
    ("07 84 13", "Penetration Firestopping"),
    ("07 92 00", "Joint Sealants"),
    ("08 11 13", "Hollow Metal Doors and Frames"),
    ("08 44 13", "Glazed Aluminum Curtain Walls"),
    ("08 71 00", "Door Hardware"),
    ("08 80 00", "Glazing"),
    ("09 21 16", "Gypsum Board Assemblies"),
    ("09 51 13", "Acoustical Panel Ceilings"),
    ("14 21 23", "Electric Traction Passenger Elevators"),
    ("22 40 00", "Plumbing Fixtures"),
    ("23 74 13", "Packaged Rooftop Air-Handling Units"),
    ("26 51 00", "Interior Lighting"),
)

# By section: title, type and description of each.
SUBMITTALS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "03 30 00": (
        ("Concrete Mix Design, 5000 psi Slab on Deck", "Product Data", "Mix 5K-LW with fly ash."),
        ("Reinforcing Shop Drawings, Level 2", "Shop Drawing", "Bar lists & placing drawings."),
        ("28-Day Compressive Strength Reports", "Test Report", "Footings F1 to F9."),
    ),
    "04 20 00": (("CMU and Mortar Samples", "Sample", 'Split face, 8" & ground face.'),),
    "05 12 00": (
        ("Structural Steel Shop Drawings, Sequence 1", "Shop Drawing", "Columns & beams, A to D."),
        ("Structural Steel Shop Drawings, Sequence 2", "Shop Drawing", "Columns & beams, D to H."),
        ("Bolted Connection Calculations", "Calculation", "Moment frames on lines 2 & 7."),
    ),
    "05 31 00": (("Composite Deck Layout", "Shop Drawing", "3VLI18 with edge angles."),),
    "05 50 00": (
        ("Stair 1 and 2 Shop Drawings", "Shop Drawing", "Pans, stringers & guards."),
        ("Steel Ladder and Roof Hatch Guard", "Shop Drawing", "Access to the penthouse roof."),
    ),
    "06 40 00": (
        ("Lobby Millwork Shop Drawings", "Shop Drawing", "Reception desk & wall panels."),
        ("White Oak Veneer Samples", "Sample", "Three flitches, rift cut."),
    ),
    "07 13 26": (("Below-Grade Waterproofing Product Data", "Product Data", "Membrane & primer."),),
    "07 21 00": (("Mineral Wool Insulation Product Data", "Product Data", "R-4.2 per inch."),),
    "07 42 43": (
        ("Composite Panel Shop Drawings", "Shop Drawing", "North & east elevations."),
        ("Composite Panel Colour Samples", "Sample", "Two greys & one bronze."),
    ),
    "07 54 23": (("TPO Roofing System Data and Warranty", "Product Data", "60 mil, 20 years."),),
    "07 84 13": (("Firestop System Listings", "Product Data", "UL systems by penetration."),),
    "07 92 00": (("Exterior Sealant Colour Chart", "Sample", "Silicone, stone range."),),
    "08 11 13": (("Hollow Metal Door and Frame Schedule", "Shop Drawing", "Levels 1 to 3."),),
    "08 44 13": (
        ("Curtain Wall Shop Drawings, North Elevation", "Shop Drawing", "CW-1 & CW-2."),
        ("Curtain Wall Structural Calculations", "Calculation", "Wind load & anchors, sealed."),
        ("Curtain Wall Finish Samples", "Sample", "Two-coat PVDF, champagne."),
        ("Curtain Wall Mock-Up Test Report", "Test Report", "AAMA 501, air & water."),
    ),
    "08 71 00": (("Door Hardware Schedule", "Product Data", "Sets 1 to 34, keying to follow."),),
    "08 80 00": (
        ("Insulating Glass Unit Product Data", "Product Data", "IGU-1 & IGU-2, low-e on #2."),
        ("Fire-Rated Glazing Product Data", "Product Data", "45 & 60 minutes."),
    ),
    "09 21 16": (("Gypsum Board Assembly Product Data", "Product Data", "Types X, C & M."),),
    "09 51 13": (("Acoustical Ceiling Samples", "Sample", "ACT-1 & ACT-2 with grid."),),
    "14 21 23": (
        ("Elevator Layout Drawings", "Shop Drawing", "Cars 1 & 2, machine-room-less."),
        ("Elevator Cab Finishes", "Sample", "Stainless & back-painted glass."),
    ),
    "22 40 00": (("Plumbing Fixture Schedule", "Product Data", "P-1 to P-14."),),
    "23 74 13": (
        ("Rooftop Unit Product Data", "Product Data", "RTU-1 & RTU-2, 60 tons each."),
        ("Rooftop Unit Curb Drawings", "Shop Drawing", "Vibration curbs & dunnage."),
    ),
    "26 51 00": (
        ("Interior Lighting Fixture Data", "Product Data", "Types A to K."),
        ("Lighting Control Shop Drawings", "Shop Drawing", "Zones, sensors & daylight."),
    ),
}

# Subject, question, drawing and answer of each.
RFIS: tuple[tuple[str, str, str, str], ...] = (
    (
        "Curtain wall anchor conflicts with slab edge rebar at grid D",
        (
            "The CW-1 anchor at grid D/4 on Level 3 lands on the #6 edge "
            "bars shown on S-203. May the "
            "anchor be moved 4 inches east, or should the bars be re-spaced?"
        ),
        "A-421",
        "Move the anchor 4 inches east as proposed. Keep 3 inches of edge distance.",
    ),
    (
        "Fire rating of corridor partition at Stair 2",
        (
            "A-102 shows partition type P3 (1 hour) at the corridor, the code plan G-003 shows 2 "
            "hours. Which governs?"
        ),
        "A-102",
        "G-003 governs. Provide type P5, 2 hours, from slab to slab.",
    ),
    (
        "Ceiling height in Conference 214",
        "Ductwork main M-204 runs at 8'-10\" AFF; the RCP calls for 9'-6\". Please advise.",
        "A-612",
        "Lower the ceiling to 8'-6\" within the soffit shown on the attached sketch.",
    ),
    (
        "Missing dimension at elevator pit",
        (
            "The depth of the elevator pit is not given on A-501 or S-301. The manufacturer wants "
            "5'-0\" clear."
        ),
        "S-301",
        "Provide 5'-2\" from the finished floor of Level 1 to the top of the pit slab.",
    ),
    (
        "Substitution of firestop at electrical sleeves",
        "Specified system W-L-3071 is on a 14 week lead. Is W-L-3112 acceptable?",
        "E-401",
        "W-L-3112 is acceptable for sleeves up to 4 inches.",
    ),
    (
        "Beam penetration for 6 inch storm drain at line 5",
        (
            "The storm drain crosses W18x50 between C and D. Can the web be cut 8 inches with "
            "reinforcement?"
        ),
        "S-202",
        "Permitted at mid-depth within the middle third, reinforced per the attached detail.",
    ),
    (
        "Door 117B swing conflicts with drinking fountain",
        "With the hardware of set 12 the door hits the drinking fountain. Reverse the swing?",
        "A-101",
        "Reverse the swing and move the fountain 10 inches north.",
    ),
    (
        "Waterproofing termination at planter wall",
        "Detail 7/A-541 stops below grade while 3/A-542 turns up 8 inches. Please confirm.",
        "A-541",
        "Turn up 8 inches above grade with termination bar, as 3/A-542.",
    ),
    (
        "Glass type at Level 1 storefront",
        "Elevation calls for IGU-2; the glazing schedule lists IGU-1 laminated. Which applies?",
        "A-301",
        "IGU-1 laminated applies for the full height of Level 1.",
    ),
    (
        "Slab depression at restroom 108",
        "No depression is shown on S-201 for the mud-set tile in A-108. Is 1.5 inches intended?",
        "S-201",
        "Yes, provide 1.5 inches. Top reinforcement follows the depression.",
    ),
    (
        "Roof drain overflow elevation",
        "Overflow drains are shown 2 inches above the membrane, the plumbing notes call for 3.",
        "P-301",
        "Set overflow drains 2 inches above the low point of the membrane.",
    ),
    (
        "Stair 1 guard infill spacing",
        "At the intermediate landing the infill spacing works out at 4.25 inches. Add a picket?",
        "A-503",
        "Add one picket so that a 4 inch sphere cannot pass.",
    ),
    (
        "Masonry veneer shelf angle at Level 2",
        "The angle is interrupted at the expansion joint on line 6. Please provide a detail.",
        "A-531",
        "Interrupt the angle 3/4 inch at the joint; see the attached sketch.",
    ),
    (
        "Vibration isolation of RTU-2",
        "Spring isolators of 2 inches deflection are scheduled but the curb allows only 1.",
        "M-501",
        "Use a 2 inch deflection curb; the roof framing can take its weight.",
    ),
    (
        "Panel joint alignment at the north-east corner",
        "The 1/2 inch joints of the composite panels do not align with the curtain wall mullions.",
        "A-304",
        "Align the joint with the centre line of the mullion and widen the corner panel.",
    ),
    (
        "Steel column base plate at grid B/2",
        "The base plate overlaps the existing grade beam by 3 inches. May we notch the grade beam?",
        "S-101",
        "Do not notch. Rotate the base plate 90 degrees and use the attached anchor pattern.",
    ),
    (
        "Access panel for fire damper above lobby ceiling",
        "No access is shown in the wood ceiling of the lobby for damper FD-6.",
        "A-611",
        "Provide a concealed panel, 18 by 18 inches, with matching veneer.",
    ),
    (
        "Lighting fixture type C in plenum ceiling",
        "Type C is not rated for plenum use. Is type C1 acceptable?",
        "E-202",
        "Type C1 is acceptable at no change in the layout.",
    ),
    (
        "Expansion joint cover at Level 2 bridge",
        "The specified cover allows 1 inch of movement, the structural notes require 2.",
        "S-204",
        "Provide a cover rated for 2 inches in both directions.",
    ),
    (
        "Finish of exposed ceiling in tenant lobby",
        "The finish schedule says PT-4 while the reflected ceiling plan says unpainted.",
        "A-601",
        "Paint PT-4, flat, including conduit and hangers.",
    ),
)

REPLIES_OF_GC: tuple[str, ...] = (
    "Forwarding the trade's sketch for reference.",
    "We need this by Friday to hold the fabrication slot.",
    "Field verified: the condition occurs at four places on this level.",
)

APPROVER_COMMENTS: tuple[str, ...] = (
    "Reviewed for conformance with the design concept.",
    "Correct the dimensions marked on sheets 3 and 5.",
    "Coordinate the anchors with the structural drawings before fabrication.",
    "Provide the missing sealed calculations with the next submission.",
)
