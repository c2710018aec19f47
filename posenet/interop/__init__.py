"""Files of other tools: ROS 2 bags, point clouds, meshes and recordings."""
